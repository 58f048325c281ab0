package diagnose_test

import (
	"bufio"
	"encoding/json"
	"os"
	"testing"
)

// An output is a labelled one.
type output struct {
	ID, Text  string
	Retryable bool
	UserError bool `json:"user_error"`
}

func outputs(t *testing.T, path string) []output {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<24)
	var all []output
	for lines.Scan() {
		var e output
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

func accuracy(t *testing.T, path string) (right, useless, n int) {
	t.Helper()
	for _, e := range outputs(t, path) {
		d := read(t, e.Text)
		n++
		if d.Retryable == e.Retryable {
			right++
		}
		if e.UserError && d.Retryable {
			useless++
		}
	}
	return right, useless, n
}
