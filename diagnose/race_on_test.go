//go:build race

package diagnose_test

// raced says that the race detector is on, which makes the processor's time
// say nothing.
const raced = true
