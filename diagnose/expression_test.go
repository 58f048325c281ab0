package diagnose_test

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
)

// A program that imports the package starts as fast as without it: the
// expressions are compiled when there is something to diagnose.
func TestStartingCostsNothing(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^$")
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	m := regexp.MustCompile(`init \S+/outlast/diagnose @.* clock, (\d+) bytes`).FindSubmatch(out)
	if m == nil {
		return // too little to be traced
	}
	if n, _ := strconv.Atoi(string(m[1])); n > 512<<10 {
		t.Errorf("got %d bytes to start with, want at most 512 KiB", n)
	}
}
