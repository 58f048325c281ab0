package deb

import (
	"archive/tar"
	"bufio"
	"context"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/outlast-build/outlast/gateway"
)

// judge reads a file whose digest nobody told for damage: packages and archives
// have checksums inside. It proves no more than that the file is whole.
func judge(name string) gateway.Prove {
	return func(_ context.Context, r io.ReaderAt, size int64) (gateway.Proof, error) {
		body := io.NewSectionReader(r, 0, size)
		switch ext := path.Ext(name); {
		case size == 0:
			return gateway.Proof{}, wrong("an empty file")
		case ext == ".deb" || ext == ".udeb" || ext == ".ddeb":
			return gateway.Proof{}, judgePackage(body)
		case ext == ".xz" || ext == ".gz" || ext == ".bz2" || ext == ".zst":
			return gateway.Proof{}, drain(name, body)
		}
		return gateway.Proof{}, nil
	}
}

// maxInstalled bounds what one archive unpacks to. Debian's largest packages
// unpack to some gigabytes.
const maxInstalled = 16 << 30

// drain reads an archive to its end.
func drain(name string, r io.Reader) error {
	u, err := unpack(name, bufio.NewReader(r))
	if err != nil {
		return wrong("%s: %v", path.Base(name), err)
	}
	if c, ok := u.(interface{ Close() }); ok {
		defer c.Close()
	}
	n, err := io.Copy(io.Discard, io.LimitReader(u, maxInstalled))
	switch {
	case err != nil:
		return wrong("%s: %v", path.Base(name), err)
	case n == maxInstalled:
		return wrong("%s unpacks to more than %d bytes", path.Base(name), int64(maxInstalled))
	}
	return nil
}

// judgePackage reads a package: an ar archive of its version, its control
// files and its data (deb(5)).
func judgePackage(r *io.SectionReader) error {
	head := make([]byte, 8)
	if _, err := io.ReadFull(r, head); err != nil || string(head) != "!<arch>\n" {
		return wrong("no package: it does not begin as one")
	}
	want := []string{"debian-binary", "control.tar", "data.tar"}
	for off := int64(8); off < r.Size(); {
		member := make([]byte, 60)
		if _, err := r.ReadAt(member, off); err != nil || string(member[58:]) != "`\n" {
			return wrong("no package: damaged at byte %d", off)
		}
		off += 60
		name := strings.TrimRight(strings.TrimSpace(string(member[:16])), "/")
		size, err := strconv.ParseInt(strings.TrimSpace(string(member[48:58])), 10, 64)
		if err != nil || size < 0 || size > r.Size()-off {
			return wrong("no package: it ends within %.16q", name)
		}
		body := io.NewSectionReader(r, off, size)
		if len(want) > 0 && strings.HasPrefix(name, want[0]) {
			want = want[1:]
			if err := judgeMember(name, body); err != nil {
				return err
			}
		}
		off += size + size%2
	}
	if len(want) > 0 {
		return wrong("no package: it has no %s", want[0])
	}
	return nil
}

func judgeMember(name string, body *io.SectionReader) error {
	switch {
	case name == "debian-binary":
		text, err := io.ReadAll(io.LimitReader(body, 64))
		if err != nil || !strings.HasPrefix(string(text), "2.") {
			return wrong("no package: of version %.10q", text)
		}
		return nil
	case path.Ext(name) == ".tar":
		_, err := tar.NewReader(body).Next()
		if err != nil {
			return wrong("%s: %v", name, err)
		}
		return nil
	}
	return drain(name, body)
}
