package trial

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/internal/testenv"
	"github.com/outlast-build/outlast/internal/testenv/cloud"
)

// A Bench runs rows, many at once where wanted. It must be opened in an
// isolated network (testenv.Isolate), whose name server it is.
type Bench struct {
	dir     string
	outlast string
	cloud   *cloud.Cloud
	dns     *faultnet.DNS
	restore func() error
	once    sync.Once
	yard    yard
}

// Open readies a bench in dir, which should be short, and must be there. The caller closes it.
func Open(ctx context.Context, dir string) (*Bench, error) {
	if err := testenv.CheckRoot(); err != nil {
		return nil, err
	}
	if !testenv.IsIsolated() {
		return nil, errors.New("outages are played in an isolated network only")
	}
	b := &Bench{dir: dir}
	var err error
	if b.outlast, err = testenv.BuildOutlast(); err != nil {
		return nil, err
	}
	if err := b.nameServer(); err != nil {
		return nil, err
	}
	if b.cloud, err = cloud.Start(ctx, filepath.Join(dir, "cloud")); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// nameServer makes b the name server of this process and its children.
func (b *Bench) nameServer() error {
	b.dns = &faultnet.DNS{Listen: "127.0.0.1:53",
		Names: map[string][]netip.Addr{IllName: nil, SilentName: nil},
		Script: faultnet.DNSScript{
			{Name: IllName, Fault: faultnet.SERVFAIL()},
			{Name: SilentName, Fault: faultnet.DNSSilence()},
		}}
	if err := b.dns.Start(); err != nil {
		b.dns = nil
		return err
	}
	file := filepath.Join(b.dir, "resolv.conf")
	if err := os.WriteFile(file, []byte("nameserver 127.0.0.1\n"), 0o644); err != nil {
		return err
	}
	// The mounts are this process's own since Isolate.
	at, err := filepath.EvalSymlinks("/etc/resolv.conf")
	if err == nil {
		err = unix.Mount(file, at, "", unix.MS_BIND, "")
	}
	if err != nil {
		return fmt.Errorf("become the name server: %w", err)
	}
	b.restore = func() error { return unix.Unmount(at, unix.MNT_DETACH) }
	return nil
}

// Close ends everything.
func (b *Bench) Close() error {
	var err error
	b.once.Do(func() {
		b.yard.close()
		if b.cloud != nil {
			b.cloud.Close()
		}
		if b.restore != nil {
			err = b.restore()
		}
		if b.dns != nil {
			b.dns.Close()
		}
	})
	return err
}
