package live_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/outlast-build/outlast/internal/live"
	"github.com/outlast-build/outlast/record"
)

func TestRunningBuildsTellOfThemselves(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "running")
	if got := live.Running(dir); len(got) != 0 {
		t.Errorf("got %v where there is no folder", got)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	first, err := live.Announce(dir, "first", func() record.Run { return record.Run{ID: "first", Started: at} })
	if err != nil {
		t.Fatal(err)
	}
	second, err := live.Announce(dir, "second", func() record.Run { return record.Run{ID: "second", Started: at.Add(time.Second)} })
	if err != nil {
		t.Fatal(err)
	}
	defer second()
	if got := live.Running(dir); len(got) != 2 || got[0].ID != "second" || got[1].ID != "first" {
		t.Errorf("got %v, want the newest first", got)
	}
	first()
	if got := live.Running(dir); len(got) != 1 {
		t.Errorf("got %v, want the one that runs", got)
	}
}

func TestWhatAKilledBuildLeftIsRemoved(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "dead.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	if got := live.Running(dir); len(got) != 0 {
		t.Errorf("got %v", got)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("got %v, want the socket gone", err)
	}
}

func TestAFolderThatIsTooDeepIsAnError(t *testing.T) {
	if _, err := live.Announce(filepath.Join(t.TempDir(), strings.Repeat("x", 120)), "a", nil); err == nil {
		t.Error("got no error")
	}
}
