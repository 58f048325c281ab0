package images

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// epoch is the time of every file and image, so that equal content has equal digests.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// A layerWriter writes one gzipped layer into a file. Its first error sticks,
// and layer returns it.
type layerWriter struct {
	file   *os.File
	digest hash.Hash // of the file
	diff   hash.Hash // of the tar in it
	zip    *gzip.Writer
	tar    *tar.Writer
	inodes map[uint64]string // first name of a file that has several
	err    error
}

// newLayer starts a layer in a new file in dir.
func newLayer(dir string) *layerWriter {
	w := &layerWriter{digest: sha256.New(), diff: sha256.New(), inodes: make(map[uint64]string)}
	w.file, w.err = os.CreateTemp(dir, "layer-*.tar.gz")
	if w.err != nil {
		return w
	}
	w.zip, w.err = gzip.NewWriterLevel(io.MultiWriter(w.file, w.digest), gzip.BestSpeed)
	w.tar = tar.NewWriter(io.MultiWriter(w.zip, w.diff))
	return w
}

// put writes one entry; body may be nil.
func (w *layerWriter) put(h tar.Header, body io.Reader) {
	if w.err != nil {
		return
	}
	h.Name = strings.TrimPrefix(h.Name, "/")
	if h.Typeflag == tar.TypeDir {
		h.Name += "/"
	}
	h.ModTime, h.Format = epoch, tar.FormatPAX
	h.Uname, h.Gname = "", ""
	if w.err = w.tar.WriteHeader(&h); w.err == nil && body != nil {
		_, w.err = io.Copy(w.tar, body)
	}
}

// dir adds a folder.
func (w *layerWriter) dir(name string, mode int64) {
	w.put(tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: mode}, nil)
}

// bytes adds a file with this content.
func (w *layerWriter) bytes(name string, mode int64, content string) {
	w.put(tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(content))}, strings.NewReader(content))
}

// link adds a symbolic link.
func (w *layerWriter) link(name, to string) {
	w.put(tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to, Mode: 0o777}, nil)
}

// copy adds the file src under another name.
func (w *layerWriter) copy(name string, mode int64, src string) {
	if w.err != nil {
		return
	}
	f, err := os.Open(src)
	if err != nil {
		w.err = err
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		w.err = err
		return
	}
	w.put(tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: info.Size()}, f)
}

// tree adds the folder src and all below it under another name, with its
// owners and modes, in lexical order. Where skip says so, a file or a folder
// is left out; it gets the path below src. Devices and sockets are left out.
func (w *layerWriter) tree(name, src string, skip func(rel string, d fs.DirEntry) bool) {
	if w.err != nil {
		return
	}
	err := filepath.WalkDir(src, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(src, p)
		if err != nil {
			return err
		}
		if rel != "." && skip != nil && skip(rel, d) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if rel == "." && name == "" {
			return nil
		}
		return w.add(path.Join(name, rel), p)
	})
	if w.err == nil {
		w.err = err
	}
}

func (w *layerWriter) add(name, src string) error {
	info, err := os.Lstat(src)
	if err != nil {
		return err
	}
	var to string
	switch info.Mode().Type() {
	case 0, fs.ModeDir:
	case fs.ModeSymlink:
		if to, err = os.Readlink(src); err != nil {
			return err
		}
	default:
		return nil
	}
	h, err := tar.FileInfoHeader(info, to)
	if err != nil {
		return err
	}
	h.Name, h.AccessTime, h.ChangeTime = name, time.Time{}, time.Time{}
	stat := info.Sys().(*syscall.Stat_t)
	if h.Typeflag == tar.TypeReg && stat.Nlink > 1 {
		if first, ok := w.inodes[stat.Ino]; ok {
			h.Typeflag, h.Linkname, h.Size = tar.TypeLink, first, 0
		} else {
			w.inodes[stat.Ino] = strings.TrimPrefix(name, "/")
		}
	}
	var body io.Reader
	if h.Typeflag == tar.TypeReg {
		f, err := os.Open(src)
		if err != nil {
			return err
		}
		defer f.Close()
		body = f
	}
	w.put(*h, body)
	return w.err
}

// layer ends the layer. Its content stays in its file.
func (w *layerWriter) layer() (v1.Layer, error) {
	if w.file == nil {
		return nil, w.err
	}
	err := errors.Join(w.err, w.tar.Close(), w.zip.Close(), w.file.Close())
	if err != nil {
		return nil, fmt.Errorf("write layer: %w", err)
	}
	info, err := os.Stat(w.file.Name())
	if err != nil {
		return nil, err
	}
	return partial.CompressedToLayer(&fileLayer{
		path:   w.file.Name(),
		size:   info.Size(),
		digest: v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(w.digest.Sum(nil))},
		diff:   v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(w.diff.Sum(nil))},
	})
}

// A fileLayer is a gzipped layer in a file whose digests are known.
type fileLayer struct {
	path         string
	size         int64
	digest, diff v1.Hash
}

func (l *fileLayer) Digest() (v1.Hash, error)            { return l.digest, nil }
func (l *fileLayer) DiffID() (v1.Hash, error)            { return l.diff, nil }
func (l *fileLayer) Size() (int64, error)                { return l.size, nil }
func (l *fileLayer) MediaType() (types.MediaType, error) { return types.OCILayer, nil }
func (l *fileLayer) Compressed() (io.ReadCloser, error)  { return os.Open(l.path) }
