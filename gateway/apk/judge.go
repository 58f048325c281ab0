package apk

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"strings"

	"github.com/outlast-build/outlast/gateway"
)

// checksums are the forms of a checksum in an index.
var checksums = map[string]func() hash.Hash{"Q1": sha1.New, "Q2": sha256.New}

// valid reports whether an index may say e.
func (e entry) valid() bool {
	if len(e.checksum) < 2 || e.size <= 0 {
		return false
	}
	sum := checksums[e.checksum[:2]]
	if sum == nil {
		return false
	}
	raw, err := base64.StdEncoding.DecodeString(e.checksum[2:])
	return err == nil && len(raw) == sum().Size()
}

// judge reads a package. Its control part has the checksum that the index says,
// and names the hash of its data. Where no index lists it, it is no more than
// whole in itself.
func judge(e entry) gateway.Prove {
	return func(_ context.Context, r io.ReaderAt, size int64) (gateway.Proof, error) {
		control, whole, err := readPackage(r, size, e.checksum)
		switch {
		case err != nil:
			return gateway.Proof{}, wrong("no package: %v", err)
		case e.size > 0 && size != e.size:
			return gateway.Proof{}, wrong("%d bytes, and the index says %d", size, e.size)
		case e.checksum != "" && control != e.checksum:
			return gateway.Proof{}, wrong("its checksum is %s, and the index says %s", control, e.checksum)
		case !whole:
			return gateway.Proof{}, wrong("its data is not what its control part says")
		}
		return gateway.Proof{Mark: control, Sure: e.checksum != ""}, nil
	}
}

// maxControl bounds what the signature and the control part unpack to.
const maxControl = 64 << 20

// readPackage reads the parts of a package, each an archive of its own: a
// signature, if there is one, the control files, and the data. It returns the
// checksum of the control part in the form of like, and whether the data is what
// the control part says.
func readPackage(r io.ReaderAt, size int64, like string) (control string, whole bool, err error) {
	in := &counter{r: bufio.NewReaderSize(io.NewSectionReader(r, 0, size), 1<<16)}
	for range 2 {
		begin := in.n
		first, data, err := readPart(in)
		if err != nil {
			return "", false, err
		}
		if strings.HasPrefix(first, ".SIGN.") {
			continue
		}
		if data == "" {
			return "", false, errors.New("its control part names no data")
		}
		form := "Q1"
		if like != "" {
			form = like[:2]
		}
		sum, rest := checksums[form](), sha256.New()
		if _, err := io.Copy(sum, io.NewSectionReader(r, begin, in.n-begin)); err != nil {
			return "", false, err
		}
		if _, err := io.Copy(rest, io.NewSectionReader(r, in.n, size-in.n)); err != nil {
			return "", false, err
		}
		return form + base64.StdEncoding.EncodeToString(sum.Sum(nil)), hex.EncodeToString(rest.Sum(nil)) == data, nil
	}
	return "", false, errors.New("it has no control part")
}

// readPart reads one archive, to the byte where it ends. It returns the name of
// its first file, and the hash of the data that its .PKGINFO names.
func readPart(in *counter) (first, data string, err error) {
	z, err := gzip.NewReader(in)
	if err != nil {
		return "", "", err
	}
	z.Multistream(false)
	unpacked := &io.LimitedReader{R: z, N: maxControl}
	files := tar.NewReader(unpacked)
	for {
		// A part that is not the last has no end of its own.
		h, err := files.Next()
		if err != nil {
			break
		}
		if first == "" {
			first = h.Name
		}
		if h.Name == ".PKGINFO" {
			if data, err = readInfo(files); err != nil {
				return "", "", err
			}
		}
	}
	if _, err := io.Copy(io.Discard, unpacked); err != nil {
		return "", "", err
	}
	if unpacked.N <= 0 {
		return "", "", errors.New("its control part unpacks to more than it may")
	}
	return first, data, nil
}

func readInfo(r io.Reader) (data string, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if name, value, _ := strings.Cut(lines.Text(), "="); strings.TrimSpace(name) == "datahash" {
			data = strings.TrimSpace(value)
		}
	}
	return data, lines.Err()
}

// A counter counts the bytes that were taken. Since it gives single bytes,
// compress/gzip takes no more than it needs.
type counter struct {
	r *bufio.Reader
	n int64
}

// Read is io.Reader's.
func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// ReadByte is io.ByteReader's.
func (c *counter) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}
