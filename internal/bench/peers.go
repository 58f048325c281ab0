package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// A peer is a caching proxy that Debian ships.
type peer struct {
	name string // of the program
	// argv is how it is run, on an address and with a folder of its own, in
	// the foreground. It may write there first.
	argv func(ctx context.Context, path, dir, host, port string) ([]string, error)
}

var peers = []peer{
	{"apt-cacher-ng", func(_ context.Context, path, dir, host, port string) ([]string, error) {
		return []string{path, "-c", "/etc/apt-cacher-ng", "ForeGround=1", "BindAddress=" + host, "Port=" + port,
			"CacheDir=" + dir + "/cache", "LogDir=" + dir, "SocketPath=" + dir + "/socket", "PidFile=" + dir + "/pid"}, nil
	}},
	{"squid", squid},
}

func squid(ctx context.Context, path, dir, host, port string) ([]string, error) {
	conf := filepath.Join(dir, "squid.conf")
	text := fmt.Sprintf(`http_port %s:%s
acl local src 127.0.0.1
http_access allow local
pid_filename none
cache_log %[3]s/log
access_log none
coredump_dir %[3]s
cache_dir ufs %[3]s/cache 2000 16 256
maximum_object_size 1 GB
refresh_pattern \.deb$ 129600 100%% 129600
shutdown_lifetime 0 seconds
`, host, port, dir)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		return nil, err
	}
	// It becomes another user where root starts it.
	if u, err := user.Lookup("proxy"); err == nil && os.Getuid() == 0 {
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			return nil, err
		}
	}
	if out, err := exec.CommandContext(ctx, path, "-N", "-z", "-f", conf).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("squid -z: %w\n%s", err, out)
	}
	return []string{path, "-N", "-f", conf}, nil
}

// run starts p with an empty cache.
func (p peer) run(ctx context.Context, path string) (*middle, error) {
	own, err := os.MkdirTemp("", "olp")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(own, 0o755); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	at := l.Addr().String()
	host, port, _ := net.SplitHostPort(at)
	l.Close()
	argv, err := p.argv(ctx, path, own, host, port)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	m := &middle{url: "http://" + at, close: func() {
		cmd.Process.Kill()
		cmd.Wait()
		os.RemoveAll(own)
	}}
	for range 100 {
		if conn, err := net.Dial("tcp", at); err == nil {
			conn.Close()
			return m, nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	m.close()
	return nil, fmt.Errorf("%s does not listen on %s", p.name, at)
}
