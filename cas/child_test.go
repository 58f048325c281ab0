package cas_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/cas"
)

// The test binary is also the program of the processes that share a store
// with a test: childEnv names what they do.
const childEnv = "OUTLAST_CAS_CHILD"

var children = map[string]func(dir string, seed uint64) error{
	"churn": churn,
	"spool": leaveSpools,
}

func TestMain(m *testing.M) {
	do, ok := children[os.Getenv(childEnv)]
	if !ok {
		os.Exit(m.Run())
	}
	seed, err := strconv.ParseUint(os.Args[2], 10, 64)
	if err == nil {
		err = do(os.Args[1], seed)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// A child is a process that works on a store and writes a byte before each of
// its steps.
type child struct {
	t      *testing.T
	cmd    *exec.Cmd
	steps  *bufio.Reader
	stderr bytes.Buffer
}

func startChild(t *testing.T, what, dir string, seed uint64) *child {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	c := &child{t: t, cmd: exec.Command(exe, dir, strconv.FormatUint(seed, 10))}
	c.cmd.Env = append(os.Environ(), childEnv+"="+what)
	c.cmd.Stderr = &c.stderr
	out, err := c.cmd.StdoutPipe()
	must(t, err)
	c.steps = bufio.NewReader(out)
	_, err = c.cmd.StdinPipe() // stays open until Wait
	must(t, err)
	must(t, c.cmd.Start())
	t.Cleanup(func() { c.cmd.Process.Kill(); c.cmd.Wait() })
	return c
}

// wait returns after n steps. It fails the test if the child ends before.
func (c *child) wait(n int64) {
	c.t.Helper()
	if got, err := io.CopyN(io.Discard, c.steps, n); err != nil {
		c.cmd.Wait()
		c.t.Errorf("the process ended after %d of %d steps: %v\n%s", got, n, c.cmd.ProcessState, c.stderr.Bytes())
	}
}

// kill ends the child at whatever it is doing.
func (c *child) kill() {
	c.cmd.Process.Kill()
	c.cmd.Wait()
}

func step() { os.Stdout.Write([]byte{'.'}) }

const (
	churnContents = 64
	churnLimit    = 1 << 20 // about a third of all the contents
)

// churnData is one of few contents, so that processes meet.
func churnData(i int) []byte { return noise(1000+uint64(i), 1<<(i%17)+i) }

// churn writes, commits, reads, names and evicts without end, and returns only
// when it was given bytes that it should not have been.
func churn(dir string, seed uint64) error {
	r := rand.New(rand.NewPCG(seed, 0))
	s, err := cas.Open(dir, churnLimit)
	if err != nil {
		return err
	}
	for {
		i := r.IntN(churnContents)
		data := churnData(i)
		if err := churnOnce(s, r, fmt.Sprint("name ", i), data); err != nil {
			return err
		}
	}
}

func churnOnce(s *cas.Store, r *rand.Rand, name string, data []byte) error {
	d := digest.FromBytes(data)
	step()
	switch r.IntN(6) {
	case 0, 1:
		w, err := s.Create()
		if err != nil {
			return err
		}
		defer w.Close()
		for off := 0; off < len(data); off += 4000 {
			step()
			if _, err := w.WriteAt(data[off:min(off+4000, len(data))], int64(off)); err != nil {
				return err
			}
		}
		step()
		return w.Commit(d)
	case 2:
		return s.SetName(name, cas.Name{Digest: d, Size: int64(len(data))})
	case 3:
		n, err := s.Name(name)
		if err == nil && (n.Digest != d || n.Size != int64(len(data))) {
			return fmt.Errorf("%s is %+v", name, n)
		}
		return unlessMiss(err)
	case 4:
		if r.IntN(10) == 0 {
			return s.Trim()
		}
	}
	return readsRight(s, d)
}

// readsRight fails when the store gives other bytes than those of d.
func readsRight(s *cas.Store, d digest.Digest) error {
	got, err := read(s, d)
	if err == nil && d.Algorithm().FromBytes(got) != d {
		return fmt.Errorf("%s: got %d bytes with another digest", d, len(got))
	}
	return unlessMiss(err)
}

func unlessMiss(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// leaveSpools opens spools, says so, and waits to be killed.
func leaveSpools(dir string, _ uint64) error {
	s, err := cas.Open(dir, 0)
	if err != nil {
		return err
	}
	for range 3 {
		w, err := s.Create()
		if err != nil {
			return err
		}
		if _, err := w.Write([]byte("half")); err != nil {
			return err
		}
	}
	step()
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
