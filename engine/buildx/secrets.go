package buildx

import (
	"encoding/csv"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// secretFlags puts each secret into a file that only this user can read and
// returns the flags that name the files: arguments and environments are seen by
// more eyes. The files go with dir.
func secretFlags(secrets map[string][]byte, args Args, dir string) ([]string, error) {
	if len(secrets) == 0 {
		return nil, nil
	}
	folder := filepath.Join(dir, "secrets")
	if err := os.Mkdir(folder, 0o700); err != nil {
		return nil, err
	}
	taken := make(map[string]bool)
	for _, v := range args.All("secret") {
		taken[attributes(v)["id"]] = true
	}
	var list []string
	for i, id := range slices.Sorted(maps.Keys(secrets)) {
		if taken[id] {
			continue
		}
		file := filepath.Join(folder, strconv.Itoa(i))
		if err := os.WriteFile(file, secrets[id], 0o600); err != nil {
			return nil, err
		}
		list = append(list, "--secret="+fields("type=file", "id="+id, "src="+file))
	}
	return list, nil
}

// fields writes attributes as buildx reads them: a name with a comma in it
// needs quotation marks.
func fields(list ...string) string {
	var b strings.Builder
	w := csv.NewWriter(&b)
	_ = w.Write(list) // a Builder takes everything
	w.Flush()
	return strings.TrimSuffix(b.String(), "\n")
}
