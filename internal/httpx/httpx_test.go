package httpx_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outlast-build/outlast/internal/httpx"
)

func TestHandle(t *testing.T) {
	for _, tt := range []struct {
		name    string
		f       httpx.HandlerFunc
		code    int
		body    string
		logged  []string
		missing string
	}{
		{"an answer", func(w http.ResponseWriter, r *http.Request) error { _, err := io.WriteString(w, "fine"); return err },
			200, "fine", []string{"msg=answered", "status=200", "bytes=4", "path=/a"}, "secret"},
		{"a status", func(w http.ResponseWriter, r *http.Request) error {
			return &httpx.StatusError{Code: 404, Err: errors.New("no such run")}
		}, 404, "no such run\n", []string{"level=ERROR", "status=404", `error="no such run"`}, "secret"},
		{"an error that is nobody's business", func(w http.ResponseWriter, r *http.Request) error {
			return errors.New("open /home/me/x")
		}, 500, "Internal Server Error\n", []string{"status=500", "open /home/me/x"}, "secret"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			w := httptest.NewRecorder()
			httpx.Handle(slog.New(slog.NewTextHandler(&log, nil)), tt.f).ServeHTTP(w, httptest.NewRequest("GET", "/a?sig=secret", nil))
			if w.Code != tt.code || w.Body.String() != tt.body {
				t.Errorf("got %d %q, want %d %q", w.Code, w.Body, tt.code, tt.body)
			}
			for _, want := range tt.logged {
				if !strings.Contains(log.String(), want) {
					t.Errorf("got log %q, want %q in it", &log, want)
				}
			}
			if n := strings.Count(log.String(), "\n"); n != 1 {
				t.Errorf("got %d lines of log, want 1", n)
			}
			if strings.Contains(log.String(), tt.missing) {
				t.Errorf("the log has the query: %q", &log)
			}
		})
	}
}

func TestBrokenAnswerIsCut(t *testing.T) {
	s := httptest.NewServer(httpx.Handle(nil, func(w http.ResponseWriter, r *http.Request) error {
		io.WriteString(w, "half")
		http.NewResponseController(w).Flush()
		return errors.New("the rest is gone")
	}))
	defer s.Close()
	resp, err := http.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("got a whole body %q, want an error", body)
	}
}

// readFroms counts what reaches the connection's own ReadFrom.
type readFroms struct {
	http.ResponseWriter
	n *int
}

func (r readFroms) ReadFrom(src io.Reader) (int64, error) {
	*r.n++
	return io.Copy(struct{ io.Writer }{r.ResponseWriter}, src)
}

func TestFilesAreLeftToTheKernel(t *testing.T) {
	path := filepath.Join(t.TempDir(), "blob")
	if err := os.WriteFile(path, make([]byte, 1<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	h := httpx.Handle(nil, func(w http.ResponseWriter, r *http.Request) error {
		http.ServeFile(w, r, path)
		return nil
	})
	n := 0
	h.ServeHTTP(readFroms{httptest.NewRecorder(), &n}, httptest.NewRequest("GET", "/", nil))
	if n == 0 {
		t.Error("the writer's ReadFrom was not used")
	}
}

func TestServeStopsGracefully(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	arrived, leave := make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- httpx.Serve(ctx, listener, httpx.Handle(nil, func(w http.ResponseWriter, r *http.Request) error {
			close(arrived)
			<-leave
			_, err := io.WriteString(w, "whole")
			return err
		}), nil)
	}()
	got := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + listener.Addr().String())
		if err != nil {
			got <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		got <- string(body)
	}()
	<-arrived
	cancel()
	close(leave)
	if body := <-got; body != "whole" {
		t.Errorf("got %q, want the answer that was under way", body)
	}
	if err := <-served; err != nil {
		t.Errorf("got %v, want nil", err)
	}
	if _, err := net.Dial("tcp", listener.Addr().String()); err == nil {
		t.Error("the port is still open")
	}
}
