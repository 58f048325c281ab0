//go:build !race

package history_test

// raced says that the race detector is on, which makes SQLite, as it is all Go
// here, some ten times slower.
const raced = false
