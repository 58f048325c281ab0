package images

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const (
	certificates = "/etc/ssl/certs/ca-certificates.crt"
	zones        = "/usr/share/zoneinfo"
)

const passwd = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n"
const group = "root:x:0:\nnobody:x:65534:\nnonroot:x:65532:\n"

// system adds the folders and files that every image has.
func (w *layerWriter) system() {
	for _, dir := range []string{"bin", "dev", "etc", "home", "proc", "root", "run", "sys", "usr", "usr/bin", "var"} {
		w.dir(dir, 0o755)
	}
	w.dir("tmp", 0o1777)
	w.dir("var/tmp", 0o1777)
	w.bytes("etc/passwd", 0o644, passwd)
	w.bytes("etc/group", 0o644, group)
	w.bytes("etc/nsswitch.conf", 0o644, "hosts: files dns\n")
}

// busybox adds the program and a link for each of its commands.
func (w *layerWriter) busybox(m *Maker) {
	tool, err := m.Tool("busybox")
	if err != nil {
		w.err = errors.Join(w.err, err)
		return
	}
	list, err := exec.Command(tool, "--list").Output()
	if err != nil {
		w.err = errors.Join(w.err, fmt.Errorf("busybox --list: %w", err))
		return
	}
	w.copy("bin/busybox", 0o755, tool)
	for _, command := range strings.Fields(string(list)) {
		if command != "busybox" {
			w.link("bin/"+command, "busybox")
		}
	}
}

func busyboxKey(m *Maker) (string, error) {
	tool, err := m.Tool("busybox")
	if err != nil {
		return "", err
	}
	return fileKey(tool)
}

func alpineKey(m *Maker) (string, error) { return busyboxKey(m) }

// makeAlpine makes an image of three layers of about 1, 1 and 2 MB; the last two
// hold noise, so that there is something to cut off in the middle.
func makeAlpine(ctx context.Context, m *Maker, dir string) ([]v1.Image, error) {
	first := newLayer(dir)
	first.system()
	first.bytes("etc/os-release", 0o644, "ID=busybox\nNAME=\"busybox, in place of Alpine\"\n")
	first.busybox(m)

	var layers []v1.Layer
	l, err := first.layer()
	layers = append(layers, l)
	for i, size := range []int64{1 << 20, 2 << 20} {
		w := newLayer(dir)
		w.noise(i+1, 0, size)
		l, werr := w.layer()
		layers, err = append(layers, l), errors.Join(err, werr)
	}
	if err != nil {
		return nil, err
	}
	img, err := finish(scratch(), "linux/amd64", v1.Config{
		Env: []string{"PATH=" + debianPath},
		Cmd: []string{"/bin/sh"},
	}, layers...)
	return []v1.Image{img}, err
}

// noise adds a file of bytes that do not compress, always the same for a
// number and a seed.
func (w *layerWriter) noise(number, seed int, size int64) {
	w.put(tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprintf("usr/share/noise/%d", number), Mode: 0o644, Size: size},
		io.LimitReader(rand.NewChaCha8([32]byte{byte(number), byte(seed)}), size))
}

// Noise makes an image for linux/amd64 with a layer of each of these sizes in
// bytes, which do not compress, in the new folder dir. The same seed makes the
// same image.
func Noise(dir, ref string, seed int, sizes ...int64) (Image, error) {
	work := filepath.Join(dir, "work")
	if err := os.MkdirAll(work, 0o755); err != nil {
		return Image{}, err
	}
	defer os.RemoveAll(work)
	var layers []v1.Layer
	for i, size := range sizes {
		w := newLayer(work)
		w.noise(i+1, seed, size)
		l, err := w.layer()
		if err != nil {
			return Image{}, err
		}
		layers = append(layers, l)
	}
	img, err := finish(scratch(), "linux/amd64", v1.Config{Cmd: []string{"/none"}}, layers...)
	if err != nil {
		return Image{}, err
	}
	if err := write(dir, []v1.Image{img}); err != nil {
		return Image{}, err
	}
	if err := os.WriteFile(filepath.Join(dir, "refs"), []byte(ref+"\n"), 0o644); err != nil {
		return Image{}, err
	}
	return open("noise", dir)
}

func staticKey(*Maker) (string, error) { return fileKey(certificates, zones+"/Europe/Berlin") }

// makeStatic makes an image without any program, so it serves every platform.
func makeStatic(ctx context.Context, m *Maker, dir string) ([]v1.Image, error) {
	first := newLayer(dir)
	first.system()
	first.put(nonrootHome, nil)
	first.bytes("etc/os-release", 0o644, "ID=debian\nNAME=\"certificates and time zones, in place of Distroless\"\n")
	second := newLayer(dir)
	second.tree("usr/share/zoneinfo", zones, nil)
	third := newLayer(dir)
	third.copy("etc/ssl/certs/ca-certificates.crt", 0o644, certificates)

	var layers []v1.Layer
	var err error
	for _, w := range []*layerWriter{first, second, third} {
		l, werr := w.layer()
		layers, err = append(layers, l), errors.Join(err, werr)
	}
	if err != nil {
		return nil, err
	}
	var all []v1.Image
	for _, platform := range []string{"linux/amd64", "linux/arm64"} {
		img, err := finish(scratch(), platform, v1.Config{
			Env:        []string{"PATH=" + debianPath, "SSL_CERT_FILE=" + certificates},
			User:       "65532",
			WorkingDir: "/home/nonroot",
		}, layers...)
		if err != nil {
			return nil, err
		}
		all = append(all, img)
	}
	return all, nil
}
