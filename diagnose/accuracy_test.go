package diagnose_test

import (
	"bufio"
	"encoding/json"
	"os"
	"testing"
)

func accuracy(t *testing.T, path string) (right, useless, n int) {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var e struct {
			Text      string
			Retryable bool
			UserError bool `json:"user_error"`
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
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
