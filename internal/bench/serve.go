package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	warmSize   = 100 << 20
	memorySize = 1 << 30
	memoryAim  = 64 << 10 // kB
	warmAim    = 0.9
)

// measureWarm reads a blob from the gateway's store and from a file server.
func measureWarm(ctx context.Context, w *world) ([]row, error) {
	s, err := w.serve(ctx, warmSize)
	if err != nil {
		return nil, err
	}
	defer s.close()
	if _, err := s.gateway.get(ctx, 1, warmSize); err != nil {
		return nil, err
	}
	var rows []row
	for _, clients := range []int{1, 16} {
		side := func(c *child) func() (time.Duration, error) {
			return func() (time.Duration, error) {
				// One reader is done too soon to be measured once.
				var all time.Duration
				for range max(1, 8/clients) {
					d, err := c.get(ctx, clients, warmSize)
					if err != nil {
						return 0, err
					}
					all += d
				}
				return all / time.Duration(max(1, 8/clients)), nil
			}
		}
		took, err := turns(5, side(s.files), side(s.gateway))
		if err != nil {
			return nil, err
		}
		r := ratio(took[1], took[0])
		rows = append(rows, row{What: fmt.Sprintf("a warm blob of 100 MiB, clients at once: %d", clients),
			Base: speed(took[0], clients), Ours: speed(took[1], clients), Result: fmt.Sprintf("%.2f×", r), Aim: "0.9×", Short: r < warmAim})
	}
	return rows, nil
}

func speed(d time.Duration, clients int) string {
	return fmt.Sprintf("%.2f GB/s", float64(clients)*warmSize/d.Seconds()/1e9)
}

// measureMemory has the gateway serve a blob to many, cold and then warm.
func measureMemory(ctx context.Context, w *world) ([]row, error) {
	s, err := w.serve(ctx, memorySize)
	if err != nil {
		return nil, err
	}
	defer s.close()
	var peaks [2]int
	for i := range peaks {
		if _, err := s.gateway.get(ctx, 16, memorySize); err != nil {
			return nil, err
		}
		if peaks[i], err = peak(s.gateway.cmd.Process.Pid); err != nil {
			return nil, err
		}
	}
	return []row{{What: "peak memory of the gateway, 1 GiB to 16 clients", Base: mib(peaks[0]), Ours: mib(peaks[1]),
		Result: mib(peaks[1]), Aim: "under 64 MiB", Short: peaks[1] >= memoryAim}}, nil
}

func mib(kb int) string { return fmt.Sprintf("%.1f MiB", float64(kb)/1024) }

// peak is the largest resident set of a process, in kB.
func peak(pid int) (int, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kb int
	_, err = fmt.Sscanf(rest, "%d kB", &kb)
	return kb, err
}

// A served blob is offered by a file server, and by a gateway that has that
// server for its origin.
type served struct {
	dir            string
	files, gateway *child
}

// serve makes a blob of so many bytes and starts both.
func (w *world) serve(ctx context.Context, size int64) (*served, error) {
	dir, err := os.MkdirTemp(w.dir, "s")
	if err != nil {
		return nil, err
	}
	s := &served{dir: dir}
	if err := s.start(ctx, w, size); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *served) start(ctx context.Context, w *world, size int64) error {
	blob, err := writeBlob(filepath.Join(s.dir, "www/v2/library/big/blobs"), size)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if s.files, err = startChild(nil, self, "-serve-files", filepath.Join(s.dir, "www")); err != nil {
		return err
	}
	s.files.url += "/v2/library/big/blobs/" + blob
	settings := filepath.Join(s.dir, "settings.yaml")
	text := fmt.Sprintf("registries:\n  docker.io:\n    origin: %s\n    mirrors:\n      []\nstore: {path: %q}\n", s.files.base, filepath.Join(s.dir, "store"))
	if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
		return err
	}
	s.gateway, err = startChild([]string{"HOME=" + s.dir}, w.outlast, "gateway", "--config", settings, "--listen", "127.0.0.1:0", "--quiet")
	if err != nil {
		return err
	}
	s.gateway.url += "/v2/docker.io/library/big/blobs/" + blob
	return nil
}

func (s *served) close() {
	for _, c := range []*child{s.gateway, s.files} {
		if c != nil {
			c.stop()
		}
	}
	os.RemoveAll(s.dir)
}

// writeBlob writes bytes that do not compress into dir, under their digest.
func writeBlob(dir string, size int64) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	f, err := os.Create(filepath.Join(dir, "new"))
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(f, sum), rand.NewChaCha8([32]byte{1}), size); err != nil {
		return "", err
	}
	name := fmt.Sprintf("sha256:%x", sum.Sum(nil))
	return name, errors.Join(f.Close(), os.Rename(f.Name(), filepath.Join(dir, name)))
}

// A child is a server in a process of its own.
type child struct {
	cmd       *exec.Cmd
	base, url string // its address, and the blob's there
}

// startChild starts a server that says "listening on URL" first.
func startChild(env []string, argv ...string) (*child, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &child{cmd: cmd}
	line, err := bufio.NewReader(out).ReadString('\n')
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if err != nil || !ok {
		c.stop()
		return nil, fmt.Errorf("start %s: it said %q", argv[0], line)
	}
	c.base, c.url = url, url
	return c, nil
}

func (c *child) stop() {
	c.cmd.Process.Kill()
	c.cmd.Wait()
}

// get reads the blob by so many clients at once, each on a connection of its
// own, and says how long that took.
func (c *child) get(ctx context.Context, clients int, size int64) (time.Duration, error) {
	errs := make([]error, clients)
	var wg sync.WaitGroup
	began := time.Now()
	for i := range clients {
		wg.Go(func() { errs[i] = read(ctx, c.url, size) })
	}
	wg.Wait()
	return time.Since(began), errors.Join(errs...)
}

func read(ctx context.Context, url string, size int64) error {
	transport := &http.Transport{ReadBufferSize: 256 << 10}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, resp.Body, make([]byte, 256<<10))
	if err == nil && (resp.StatusCode != http.StatusOK || n != size) {
		err = fmt.Errorf("read %s: got %s and %d bytes, want %d", url, resp.Status, n, size)
	}
	return err
}

// serveFiles is the file server of Go's own library, until ctx ends.
func serveFiles(ctx context.Context, dir string, stdout io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "listening on http://%s\n", l.Addr())
	server := &http.Server{Handler: http.FileServer(http.Dir(dir))}
	context.AfterFunc(ctx, func() { server.Close() })
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
