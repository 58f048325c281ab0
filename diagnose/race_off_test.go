//go:build !race

package diagnose_test

// raced says that the race detector is on.
const raced = false
