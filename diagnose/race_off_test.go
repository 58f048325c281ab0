//go:build !race

package diagnose

// Raced says that the race detector is on.
const Raced = false
