package gomod

import (
	"archive/zip"
	"errors"
	"io"
	"strings"

	"golang.org/x/mod/sumdb/dirhash"
	modzip "golang.org/x/mod/zip"
)

// The bounds of a module's archive. The go command takes archives of up to
// modzip.MaxZipFile; its toolchains, which come as modules, are the largest.
const (
	maxFiles    = 200_000
	maxUnpacked = 1 << 30
)

// judgeZip reads a module's archive whole: each file is in the folder of its
// module and version, and has the checksum that the archive says.
func judgeZip(q request, r io.ReaderAt, size int64) (sum, mark string, err error) {
	if size > modzip.MaxZipFile {
		return "", "", wrong("%d bytes are more than a module may have", size)
	}
	z, err := zip.NewReader(r, size)
	if err != nil {
		return "", "", wrong("no archive: %v", err)
	}
	if len(z.File) > maxFiles {
		return "", "", wrong("%d files are more than a module may have", len(z.File))
	}
	files := make(map[string]*zip.File, len(z.File))
	names := make([]string, 0, len(z.File))
	left := uint64(maxUnpacked)
	prefix := q.module + "@" + q.version + "/"
	for _, f := range z.File {
		name, ok := strings.CutPrefix(f.Name, prefix)
		switch {
		case !ok:
			return "", "", wrong("%.100q is not in the folder %s", f.Name, prefix)
		case unsafe(name):
			return "", "", wrong("%.100q leads out of its folder", f.Name)
		case files[f.Name] != nil:
			return "", "", wrong("%.100q is there twice", f.Name)
		case f.UncompressedSize64 > left:
			return "", "", wrong("it unpacks to more than %d bytes", maxUnpacked)
		}
		left -= f.UncompressedSize64
		files[f.Name] = f
		names = append(names, f.Name)
	}
	if len(names) == 0 {
		return "", "", wrong("an archive without files")
	}
	// archive/zip gives no more than the size that the file's entry names, and
	// checks what it gives.
	sum, err = dirhash.Hash1(names, func(name string) (io.ReadCloser, error) { return files[name].Open() })
	if err != nil {
		return "", "", wrong("the archive is damaged: %v", errors.Unwrap(err))
	}
	return sum, sum, nil
}

// unsafe reports whether a name in an archive could be taken for a place
// elsewhere.
func unsafe(name string) bool {
	if name == "" || strings.ContainsAny(name, "\\:\x00") {
		return true
	}
	for part := range strings.SplitSeq(strings.TrimSuffix(name, "/"), "/") {
		if part == "" || part == "." || part == ".." {
			return true
		}
	}
	return false
}
