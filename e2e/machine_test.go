package e2e

import (
	"testing"

	"github.com/outlast-build/outlast/internal/testenv"
)

// newMachine is a build context with programs of this machine, which add adds.
func newMachine(t *testing.T, add func(testenv.Machine) error) (dir string) {
	t.Helper()
	m := testenv.Machine{Dir: t.TempDir()}
	testenv.Need(t, add(m))
	return m.Dir
}
