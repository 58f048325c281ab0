package outlast_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/outlast-build/outlast/dockerfile"
	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/engine/enginetest"
	"github.com/outlast-build/outlast/record"
)

// archived is a packed archive of one file.
func archived(t *testing.T, path, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	err := w.WriteHeader(&tar.Header{Name: path, Size: int64(len(text)), Mode: 0o644})
	if err == nil {
		_, err = io.WriteString(w, text)
	}
	if err == nil {
		err = w.Close()
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// push puts an image into the stage's registry whose only layer has one file.
func (s *stage) push(t *testing.T, ref, path, text string) {
	t.Helper()
	img, err := mutate.AppendLayers(empty.Image, static.NewLayer(archived(t, path, text), types.DockerLayer))
	if err != nil {
		t.Fatal(err)
	}
	at, err := name.ParseReference(s.host + "/" + ref)
	if err == nil {
		err = remote.Write(at, img)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// apk is led to the gateway by a list of repositories with those of the image:
// their releases, their parts and their tags, and what is local, stay.
func TestApkGoesThroughTheGateway(t *testing.T) {
	index := archived(t, "APKINDEX", "C:Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA=\nP:tool\nV:1.0\nS:100\n\n")
	repository := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/alpine/v3.99/community/x86_64/APKINDEX.tar.gz" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(index)
	}))
	defer repository.Close()
	s := newStage(t)
	s.settings.Packages.Hosts = []string{"127.0.0.1"}
	list := "# ours\n" + repository.URL + "/alpine/v3.99/main\n@edge " + repository.URL + "/alpine/v3.99/community\n/srv/packages\nhttps://me:word@127.0.0.1/x\nhttps://10.0.0.9/alpine\n"
	s.push(t, "alpine:3", "etc/apk/repositories", list)
	s.push(t, "other:3", "etc/passwd", "root")
	s.write(t, "Dockerfile", "FROM "+s.host+"/alpine:3\nRUN apk add --no-cache tool\nFROM "+s.host+"/other:3\nRUN apk add --no-cache tool\nCOPY --from=0 / /x\n")
	secret := dockerfile.ImageSecret(s.host + "/alpine:3")
	e := &enginetest.Engine{Scripts: []enginetest.Script{{Run: func(ctx context.Context, req engine.Request) error {
		got := string(req.Secrets[secret.ID])
		gateway, _, _ := strings.Cut(strings.TrimPrefix(strings.Split(got, "\n")[1], "http://"), "/")
		at := "http://" + gateway + "/apk/http/" + strings.TrimPrefix(repository.URL, "http://")
		if want := strings.ReplaceAll(list, repository.URL, at); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		resp, err := http.Get(at + "/alpine/v3.99/community/x86_64/APKINDEX.tar.gz")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if body, _ := io.ReadAll(resp.Body); !bytes.Equal(body, index) {
			t.Errorf("got %d and %.100q, want the index", resp.StatusCode, body)
		}
		return pull(ctx, req)
	}}}}
	run, err := s.build(e)
	if err != nil || run.Outcome != record.Built {
		t.Fatalf("got %s, %v, want built", run.Outcome, err)
	}
	if text := string(e.Requests()[0].Text); strings.Count(text, secret.Mount()) != 1 {
		t.Errorf("got\n%s", text)
	}
	if notes := strings.Join(run.Notes, "\n"); !strings.Contains(notes, "line 4: apk keeps its own settings") {
		t.Errorf("notes: %s", notes)
	}
}
