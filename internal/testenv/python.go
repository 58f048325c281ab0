package testenv

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"path"
	"strings"
	"time"
)

// A PythonIndex serves packages of one version, 1.0, as the simplest of indexes
// do: an HTML page at /simple/NAME/, and files at /files/.
type PythonIndex struct {
	files map[string][]byte
}

// Add makes the smallest package that pip installs: a module with its own name
// in it. It needs the packages named.
func (x *PythonIndex) Add(name string, needs ...string) error {
	module := strings.ReplaceAll(name, "-", "_")
	info := module + "-1.0.dist-info/"
	metadata := "Metadata-Version: 2.1\nName: " + name + "\nVersion: 1.0\n"
	for _, other := range needs {
		metadata += "Requires-Dist: " + other + "\n"
	}
	var packed bytes.Buffer
	w := zip.NewWriter(&packed)
	for _, f := range [][2]string{
		{module + ".py", "name = '" + name + "'\n"},
		{info + "METADATA", metadata},
		{info + "WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"},
		{info + "RECORD", module + ".py,,\n" + info + "METADATA,,\n" + info + "WHEEL,,\n" + info + "RECORD,,\n"},
	} {
		to, err := w.Create(f[0])
		if err == nil {
			_, err = to.Write([]byte(f[1]))
		}
		if err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	if x.files == nil {
		x.files = make(map[string][]byte)
	}
	x.files[module+"-1.0-py3-none-any.whl"] = packed.Bytes()
	return nil
}

// ServeHTTP is http.Handler's.
func (x *PythonIndex) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := path.Base(r.URL.Path)
	if data, ok := x.files[name]; ok {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
		return
	}
	for file, data := range x.files {
		if strings.HasPrefix(file, strings.ReplaceAll(name, "-", "_")+"-") {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprintf(w, "<!DOCTYPE html><html><body><a href=\"../../files/%s#sha256=%x\">%s</a></body></html>", file, sha256.Sum256(data), file)
			return
		}
	}
	w.WriteHeader(http.StatusNotFound)
}
