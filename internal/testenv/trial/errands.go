package trial

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/internal/testenv"
)

// An errandLab is one errand's two sources of packages, beside the yard.
type errandLab struct {
	*yard
	*supplies
	bench   *Bench
	errand  Errand
	manager *manager
	dir     string
	row     string
	sources [2]*faultnet.Service
}

// sourceNames are what the sources are called for people.
var sourceNames = [2]string{"first", "second"}

// ErrandStock runs e with docker buildx build and the manager's own settings.
// It is cut off after limit. What this machine lacks is a *testenv.Missing.
func (b *Bench) ErrandStock(ctx context.Context, e Errand, limit time.Duration) (Result, error) {
	l, err := b.errand(ctx, e)
	if err != nil {
		return Result{}, err
	}
	defer l.close()
	if err := l.fail(); err != nil {
		return Result{}, err
	}
	bin, err := testenv.LookTool("buildx")
	if err != nil {
		return Result{}, err
	}
	set := l.manager.stock(l.address(0), l.address(1))
	return l.build(ctx, set, limit, nil, bin, "build")
}

// ErrandOutlast runs e with outlast build. Where every source fails, the store
// is warm: the same was built before, a day ago as far as the store knows. It
// is cut off after limit. What this machine lacks is a *testenv.Missing.
func (b *Bench) ErrandOutlast(ctx context.Context, e Errand, limit time.Duration) (Result, error) {
	l, err := b.errand(ctx, e)
	if err != nil {
		return Result{}, err
	}
	defer l.close()
	if e.Where == EverySource {
		if r, err := l.outlast(ctx, limit); err != nil || r.Outcome != Built {
			return r, err
		}
		if err := l.age(); err != nil {
			return Result{}, err
		}
	}
	if err := l.fail(); err != nil {
		return Result{}, err
	}
	return l.outlast(ctx, limit)
}

// errand sets an errand up, with all well. The caller closes it.
func (b *Bench) errand(ctx context.Context, e Errand) (*errandLab, error) {
	m := managerNamed(e.Manager)
	s, err := b.prepare(ctx, m)
	if err != nil {
		return nil, err
	}
	l := &errandLab{yard: &b.yard, supplies: s, bench: b, errand: e, manager: m}
	if l.dir, err = os.MkdirTemp(b.dir, ""); err != nil {
		return nil, err
	}
	l.row = filepath.Base(l.dir)
	for i := range l.sources {
		source := &faultnet.Service{Backend: s.backend}
		if err := source.Start(); err != nil {
			l.close()
			return nil, err
		}
		l.sources[i] = source
		b.dns.Add(l.name(i), netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	}
	return l, nil
}

func (l *errandLab) close() {
	for i, s := range l.sources {
		if s != nil {
			s.Close()
			l.bench.dns.Remove(l.name(i))
		}
	}
	os.RemoveAll(l.dir)
}

// name is the host that stands for a source where names are what fails.
func (l *errandLab) name(i int) string {
	return fmt.Sprintf("%s-%s.example.com", sourceNames[i], l.row)
}

// address is where a source is asked.
func (l *errandLab) address(i int) string {
	if !l.errand.mishap.noDNS {
		return l.sources[i].URL()
	}
	_, port, _ := net.SplitHostPort(l.sources[i].Host())
	return "http://" + net.JoinHostPort(l.name(i), port)
}

// fail has the errand's outage begin.
func (l *errandLab) fail() error {
	for i, s := range l.sources {
		if i > 0 && l.errand.Where == FirstSource {
			break
		}
		if err := s.Play(l.errand.script(l.manager)); err != nil {
			return err
		}
		s.CloseConnections()
		if l.errand.mishap.noDNS {
			l.bench.dns.Remove(l.name(i))
		}
	}
	return nil
}

func (l *errandLab) outlast(ctx context.Context, limit time.Duration) (Result, error) {
	settings, err := l.cloud.WriteSettings(l.dir)
	if err != nil {
		return Result{}, err
	}
	env := l.manager.environ(l.address(0), l.address(1))
	return l.build(ctx, l.manager.led(), limit, env, l.bench.outlast, "build", "--config", settings, "--attempts", "1")
}

func (l *errandLab) build(ctx context.Context, set string, limit time.Duration, env []string, argv ...string) (Result, error) {
	dir := filepath.Join(l.dir, "context")
	row := fmt.Sprint(l.rows.Add(1))
	if err := l.manager.context(dir, l.manager.dockerfile(l.base(), set, row)); err != nil {
		return Result{}, err
	}
	args := append(argv[1:], l.contexts()...)
	cmd := exec.Command(argv[0], append(args, "--builder", "yard", "--progress", "plain", dir)...)
	cmd.Env = append(os.Environ(), l.buildx.Environ()...)
	cmd.Env = append(cmd.Env, "HOME="+l.dir, "XDG_STATE_HOME="+l.dir+"/state", "XDG_CACHE_HOME="+l.dir+"/cache", "NO_COLOR=1")
	cmd.Env = append(cmd.Env, env...)
	r, err := execute(ctx, cmd, limit, l.replacer())
	r.Noticed = l.manager.notices(r.Log)
	return r, err
}

var printed = regexp.MustCompile(`(?m)^#\d+ \d+\.\d+ (.*)$`)

// notices is the first line in which m says that something failed.
func (m *manager) notices(log string) string {
	for _, line := range printed.FindAllStringSubmatch(log, -1) {
		if found := m.noticed.FindString(" " + line[1]); found != "" {
			return strings.TrimSpace(found)
		}
	}
	return ""
}

// replacer puts names in the place of addresses.
func (l *errandLab) replacer() *strings.Replacer {
	pairs := []string{l.cloud.Sites[0].Host(), "origin"}
	for i, s := range l.sources {
		_, port, _ := net.SplitHostPort(s.Host())
		pairs = append(pairs, l.name(i)+":"+port, sourceNames[i], l.name(i), sourceNames[i], s.Host(), sourceNames[i])
	}
	if value, err := testenv.GoSumDB(); err == nil {
		name, _, _ := strings.Cut(strings.Fields(value)[0], "+")
		pairs = append(pairs, name, "sumdb")
	}
	return strings.NewReplacer(pairs...)
}

// age makes all that the store knows a day older, so that nothing in it is
// fresh.
func (l *errandLab) age() error {
	s, err := cas.Open(filepath.Join(l.dir, "store"), 0)
	if err != nil {
		return err
	}
	defer s.Close()
	names, err := s.Names("")
	if err != nil {
		return err
	}
	for _, name := range names {
		n, err := s.Name(name)
		if err != nil {
			return err
		}
		n.At = n.At.Add(-24 * time.Hour)
		if err := s.SetName(name, n); err != nil {
			return err
		}
	}
	return nil
}
