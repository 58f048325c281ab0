package outlast

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// goSumKeys are the checksum databases that the go command knows by their names
// alone, with their keys: NAME+HASH+KEY with commas between. The linker puts
// them in, as the command's own source has them (see the Makefile). They are
// asked where there is no go command.
var goSumKeys string

// sumKeysFile is where the source of the go command has them.
const sumKeysFile = "src/cmd/go/internal/modfetch/key.go"

// sumKey is a verifier key (golang.org/x/mod/sumdb/note).
var sumKey = regexp.MustCompile(`[a-z0-9.-]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]+=*`)

// withSumKey adds its key to a value as GOSUMDB has it that only names its
// database: without one, nothing that the database says proves anything. root
// is the go command's; empty where there is none, and then the value too may
// be: it means the first database that is known.
func withSumKey(value, root string) string {
	known := sumKey.FindAllString(goSumKeys, -1)
	if root != "" {
		known = append(sumKeysOf(root), known...)
	}
	name, rest, _ := strings.Cut(value, " ")
	if value == "" && root == "" && len(known) > 0 {
		return known[0]
	}
	for _, key := range known {
		if strings.HasPrefix(key, name+"+") {
			return strings.TrimSpace(key + " " + rest)
		}
	}
	return value
}

func sumKeysOf(root string) []string {
	f, err := os.Open(filepath.Join(root, sumKeysFile))
	if err != nil {
		return nil
	}
	defer f.Close()
	source, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if err != nil {
		return nil
	}
	return sumKey.FindAllString(string(source), -1)
}
