package outlast_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/engine/enginetest"
	"github.com/outlast-build/outlast/record"
)

func TestADDGoesThroughTheGateway(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/gzip")
		_, _ = io.WriteString(w, r.URL.RequestURI())
	}))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	for _, tt := range []struct {
		name, file string
		hosts      []string
		want       []string // what is led through the gateway
		note       string
	}{
		{"a host that the settings name", "ADD http://HOST/a.tgz?x=1 /", []string{"127.0.0.1"}, []string{"/a.tgz?x=1"}, ""},
		{"with variables", "ARG V=1.2\nADD http://HOST/a-$V.tgz http://HOST/b.tgz /d/", []string{"127.0.0.1"}, []string{"/a-1.2.tgz", "/b.tgz"}, ""},
		{"with a variable that only the image knows", "ADD http://HOST/a-$V.tgz /", []string{"127.0.0.1"}, nil, ""},
		{"with a login", "ADD http://me:word@HOST/a.tgz /", []string{"127.0.0.1"}, nil, ""},
		{"a private address that nobody named is left to the builder", "ADD http://HOST/a.tgz /", nil, nil, "packages.hosts"},
		{"a file of the context", "ADD a.tgz /", []string{"127.0.0.1"}, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t)
			s.settings.Packages.Hosts = tt.hosts
			s.write(t, "Dockerfile", strings.ReplaceAll("FROM "+s.host+"/base:1\n"+tt.file+"\n", "HOST", host))
			var served []string
			e := &enginetest.Engine{Scripts: []enginetest.Script{{Run: func(ctx context.Context, req engine.Request) error {
				for _, d := range req.Detours {
					resp, err := http.Get(d.At)
					if err != nil {
						return err
					}
					body, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					if err != nil {
						return err
					}
					if d.Address != server.URL+string(body) {
						t.Errorf("got %q for %q", body, d.Address)
					}
					served = append(served, string(body))
				}
				return pull(ctx, req)
			}}}}
			run, err := s.build(e)
			if err != nil || run.Outcome != record.Built {
				t.Fatalf("got %s, %v, want built", run.Outcome, err)
			}
			if !slices.Equal(served, tt.want) {
				t.Errorf("got %q, want %q", served, tt.want)
			}
			if notes := strings.Join(run.Notes, "\n"); strings.Contains(notes, "packages.hosts") != (tt.note != "") {
				t.Errorf("notes: %s", notes)
			}
		})
	}
}

// The gateway of a build goes to no server that its Dockerfile does not name.
func TestADDOpensNoOtherServer(t *testing.T) {
	s := newStage(t)
	s.settings.Packages.Hosts = []string{"127.0.0.1"}
	s.write(t, "Dockerfile", "FROM "+s.host+"/base:1\nADD http://127.0.0.1:1/a.tgz /\n")
	e := &enginetest.Engine{Scripts: []enginetest.Script{{Run: func(ctx context.Context, req engine.Request) error {
		resp, err := http.Get(strings.Replace(req.Detours[0].At, "127.0.0.1:1/", s.host+"/", 1))
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("got %d, want 403", resp.StatusCode)
		}
		return pull(ctx, req)
	}}}}
	if _, err := s.build(e); err != nil {
		t.Fatal(err)
	}
}
