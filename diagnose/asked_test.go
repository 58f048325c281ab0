package diagnose_test

import (
	"strings"
	"testing"

	"github.com/outlast-build/outlast/diagnose"
)

func TestHowMuchWasAskedFor(t *testing.T) {
	for _, tt := range []struct {
		name, log string
		want      int64
	}{
		{"apt", "Need to get 12.1 MB of archives.\nAfter this operation, 1,234 MB of additional disk space will be used.\nE: You don't have enough free space in /var/cache/apt/archives/.", 1_234_000_000},
		{"dnf", "Error Summary\n-------------\nDisk Requirements:\n   At least 35MB more space needed on the / filesystem.\nError: No space left on device", 35_000_000},
		{"java", "OpenJDK 64-Bit Server VM warning: INFO: os::commit_memory failed; error='Cannot allocate memory'\n# Native memory allocation (mmap) failed to map 262144000 bytes. Out of memory", 262_144_000},
		{"rust", "memory allocation of 4294967296 bytes failed", 4_294_967_296},
		{"gcc", "cc1plus: out of memory allocating 65536 bytes after a total of 1048576 bytes", 65_536},
		{"numpy", "numpy.core._exceptions.MemoryError: Unable to allocate 3.5 GiB for an array\nMemoryError", 3_758_096_384},
		{"nobody says", "write /out: no space left on device", 0},
		{"a number that nobody can mean", "memory allocation of 99999999999999999999 bytes failed", 0},
		{"nothing was lacking", "After this operation, 1,234 MB of additional disk space will be used.\nmain.go:1:1: undefined: x", 0},
	} {
		got, err := diagnose.Read(strings.NewReader(tt.log))
		if err != nil || got.Asked != tt.want {
			t.Errorf("%s: got %d, %v, want %d (%+v)", tt.name, got.Asked, err, tt.want, got)
		}
	}
}
