package trial

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/outlast-build/outlast/internal/testenv"
)

// A lab is a row's network with a BuildKit, a store and a build context of its
// own.
type lab struct {
	*network
	bench    *Bench
	dir      string
	buildx   *testenv.Buildx
	daemons  int
	buildkit *testenv.Buildkitd
	options  testenv.BuildkitdOptions
	settings string
}

// lab sets one up. The caller closes it.
func (b *Bench) lab(ctx context.Context, r Row, o testenv.BuildkitdOptions) (*lab, error) {
	dir, err := os.MkdirTemp(b.dir, "")
	if err != nil {
		return nil, err
	}
	l := &lab{bench: b, dir: dir, options: o}
	if err := l.setUp(ctx, r); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

func (l *lab) setUp(ctx context.Context, r Row) error {
	var err error
	if l.network, err = r.build(l.bench.cloud); err != nil {
		return err
	}
	l.options.Config = l.BuildkitConfig()
	if l.settings, err = l.WriteSettings(l.dir); err != nil {
		return err
	}
	if l.buildx, err = testenv.OpenBuildx(filepath.Join(l.dir, "docker")); err != nil {
		return err
	}
	if err := l.write(fmt.Sprintf(dockerfile, l.reference())); err != nil {
		return err
	}
	return l.renew(ctx)
}

// The build needs every layer of its base image.
const dockerfile = "FROM %s\nCOPY Dockerfile /made-of\nRUN true\n"

// write makes a Dockerfile all there is in the build context.
func (l *lab) write(dockerfile string) error {
	if err := os.MkdirAll(l.context(), 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(l.context(), "Dockerfile"), []byte(dockerfile), 0o644)
}

func (l *lab) context() string { return filepath.Join(l.dir, "context") }

// renew puts a new BuildKit in the place of the one before.
func (l *lab) renew(ctx context.Context) error {
	if l.buildkit != nil {
		l.buildkit.Stop()
	}
	l.daemons++
	var err error
	l.buildkit, err = testenv.StartBuildkitd(ctx, filepath.Join(l.dir, fmt.Sprint("bk", l.daemons)), l.options)
	if err != nil {
		return err
	}
	if l.daemons > 1 {
		if out, err := l.buildx.Run(ctx, "rm", "row"); err != nil {
			return fmt.Errorf("remove a builder: %w\n%s", err, out)
		}
	}
	if out, err := l.buildx.Run(ctx, "create", "--name", "row", "--driver", "remote", l.buildkit.Addr()); err != nil {
		return fmt.Errorf("create a builder: %w\n%s", err, out)
	}
	return nil
}

// Close ends everything and removes what was written.
func (l *lab) Close() {
	if l.buildkit != nil {
		l.buildkit.Stop()
	}
	if l.network != nil {
		l.network.Close()
	}
	os.RemoveAll(l.dir)
}

func (l *lab) outlast(ctx context.Context, limit time.Duration) (Result, error) {
	return l.execute(ctx, limit, l.bench.outlast, "build", "--config", l.settings)
}

func (l *lab) stock(ctx context.Context, limit time.Duration) (Result, error) {
	bin, err := testenv.LookTool("buildx")
	if err != nil {
		return Result{}, err
	}
	return l.execute(ctx, limit, bin, "build")
}

func (l *lab) execute(ctx context.Context, limit time.Duration, argv ...string) (Result, error) {
	cmd := exec.Command(argv[0], append(argv[1:], "--builder", "row", "--progress", "plain", l.context())...)
	cmd.Env = append(os.Environ(), l.buildx.Environ()...)
	cmd.Env = append(cmd.Env, "HOME="+l.dir, "XDG_STATE_HOME="+l.dir+"/state", "XDG_CACHE_HOME="+l.dir+"/cache", "NO_COLOR=1")
	return execute(ctx, cmd, limit, l.names())
}
