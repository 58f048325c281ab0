package buildx

import (
	"io"
	"os"
	"slices"
	"strings"
)

// readsStdin reports whether the build may take anything from standard input:
// the context, the Dockerfile, or a file by one of the names that the system
// has for it.
func readsStdin(args Args) bool {
	return slices.ContainsFunc(args.Raw(), func(a string) bool {
		return a == "-" || a == "-f-" || strings.HasSuffix(a, "=-") ||
			strings.Contains(a, "/dev/stdin") || strings.Contains(a, "/fd/0")
	})
}

// detach returns what the child shall have as its standard input. A terminal
// is not handed on as it is: the child stands in a process group of its own,
// and the terminal stops a group in the background that reads from it. It comes
// through a pipe where the build reads it, else not at all. The caller calls
// the function that is returned when the child has ended.
func detach(in io.Reader, needed bool) (io.Reader, func(), error) {
	f, ok := in.(*os.File)
	if !ok || !isDevice(f) {
		return in, func() {}, nil
	}
	if !needed {
		return nil, func() {}, nil
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	go func() {
		// It may wait for the terminal longer than the child lives: then it
		// ends with the next line, which nobody reads.
		_, _ = io.Copy(w, f)
		w.Close()
	}()
	return r, func() { r.Close(); w.Close() }, nil
}

func isDevice(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
