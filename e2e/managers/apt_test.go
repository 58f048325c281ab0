package managers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/gateway"
	"github.com/outlast-build/outlast/gateway/deb"
	"github.com/outlast-build/outlast/internal/testenv"
	"github.com/outlast-build/outlast/internal/testenv/images"
)

// aptGet runs a real apt-get update, and then fetches a small package as an
// install does, with all of apt's own folders in dir.
func aptGet(t *testing.T, source images.AptSource, address string) (string, error) {
	t.Helper()
	dir := testenv.TempDir(t)
	for _, d := range []string{"state/lists/partial", "cache/archives/partial", "etc/apt.conf.d", "etc/preferences.d", "etc/trusted.gpg.d", "log"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	signed := ""
	if source.Keyring != "" {
		signed = "[signed-by=" + source.Keyring + "] "
	}
	list := fmt.Sprintf("deb %s%s/deb/http/deb.example.com/debian %s main\n", signed, address, source.Suite)
	if err := os.WriteFile(filepath.Join(dir, "etc/sources.list"), []byte(list), 0o644); err != nil {
		t.Fatal(err)
	}
	apt := testenv.Tool(t, "apt-get")
	options := []string{"-q", "-y", "-o", "Dir::State=" + dir + "/state", "-o", "Dir::State::status=/var/lib/dpkg/status", "-o", "Dir::Cache=" + dir + "/cache",
		"-o", "Dir::Etc=" + dir + "/etc", "-o", "Dir::Log=" + dir + "/log", "-o", "APT::Sandbox::User=root", "-o", "Debug::NoLocking=1",
		"-o", "Acquire::Languages=none", "-o", "Acquire::Retries=0", "-o", "APT::Update::Error-Mode=any"}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	run := func(args ...string) (string, error) {
		cmd := exec.CommandContext(ctx, apt, append(options, args...)...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "LC_ALL=C", "APT_CONFIG=/dev/null")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := run("update")
	if err != nil {
		return out, err
	}
	more, err := run("install", "--reinstall", "--download-only", "--no-install-recommends", "hello")
	return out + more, err
}

func TestAptGet(t *testing.T) {
	t.Parallel()
	source, err := testenv.AptSource()
	testenv.Need(t, err)
	real := newRegistry(t, strings.TrimSuffix(source.Mirror, "/"))
	run := func(t *testing.T, store string, a, b *faultnet.Service) (string, error) {
		// The origin does not resolve.
		sites, err := gateway.NewSites([]gateway.Site{{Place: "deb.example.com/debian", Mirrors: []string{a.URL(), b.URL()}}})
		if err != nil {
			t.Fatal(err)
		}
		return aptGet(t, source, gatewayOf(t, store, new(deb.Protocol), sites.Upstreams))
	}
	a, b, store := real.serve(t), real.serve(t), testenv.TempDir(t)
	for _, r := range []row{{"is well", faultnet.Fault{}}, {"refuses", faultnet.Refuse()}} {
		t.Run("everything "+r.name+", and the store is warm but for the first time", func(t *testing.T) {
			a.Play(faultnet.Always(r.fault))
			b.Play(faultnet.Always(r.fault))
			if out, err := run(t, store, a, b); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	t.Run("everything refuses, and nothing is stored", func(t *testing.T) {
		if out, err := run(t, testenv.TempDir(t), a, b); err == nil {
			t.Errorf("got packages from nowhere: this test shows nothing\n%s", out)
		}
	})
	for _, r := range rows {
		if !slices.Contains([]string{"hangs", "stalls in the middle", "200 with a page", "wrong bytes"}, r.name) {
			continue // apt reads 50 MB of indexes each time; gateway/deb has all of them
		}
		t.Run("the first mirror "+r.name, func(t *testing.T) {
			a, b := real.serve(t), real.serve(t)
			a.Play(faultnet.Always(r.fault))
			if r.name == "wrong bytes" { // a release is proved by its signature alone, which apt checks
				a.Play(faultnet.Script{{Path: regexp.MustCompile(`by-hash|\.deb$`), Fault: r.fault}})
			}
			if out, err := run(t, testenv.TempDir(t), a, b); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
