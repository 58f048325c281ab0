package outlast

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTheKeyOfAChecksumDatabase(t *testing.T) {
	const key, linked = "sum.example.com+0123abcd+AAAA/bbb+ccc=", "other.example.com+89abcdef+DDDD"
	root := t.TempDir()
	file := filepath.Join(root, sumKeysFile)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("package modfetch\n\nvar knownGOSUMDB = map[string]string{\n\t\"sum.example.com\": \""+key+"\",\n}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	old := goSumKeys
	goSumKeys = linked
	t.Cleanup(func() { goSumKeys = old })
	for _, tt := range []struct{ name, value, root, want string }{
		{"a name that the go command knows", "sum.example.com", root, key},
		{"with an address", "sum.example.com https://sums.example.com", root, key + " https://sums.example.com"},
		{"a key", "mine+00000000+EE", root, "mine+00000000+EE"},
		{"off", "off", root, "off"},
		{"a name that nobody knows", "their.example.com", root, "their.example.com"},
		{"a part of a name", "sum.example", root, "sum.example"},
		{"a name that this program knows", "other.example.com", t.TempDir(), linked},
		{"no go command, and nothing set", "", "", linked},
		{"no go command, and off", "off", "", "off"},
	} {
		if got := withSumKey(tt.value, tt.root); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
