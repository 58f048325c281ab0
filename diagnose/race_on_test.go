//go:build race

package diagnose

// Raced says that the race detector is on, which makes the processor's time
// say nothing.
const Raced = true
