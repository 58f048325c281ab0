package history_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/outlast-build/outlast/history"
	"github.com/outlast-build/outlast/record"
)

// spoils are the kinds of damage of the file of a closed history, which has
// runs in it.
var spoils = []struct {
	name string
	do   func(t *testing.T, path string)
}{
	{"garbage", func(t *testing.T, path string) { write(t, path, strings.Repeat("no database ", 1000)) }},
	{"its end is missing", func(t *testing.T, path string) { truncate(t, path, 3*4096) }},
	{"its end is missing, amid a page", func(t *testing.T, path string) { truncate(t, path, 4096+77) }},
	{"a folder", func(t *testing.T, path string) { remove(t, path); mkdir(t, path) }},
	{"a folder with something in it", func(t *testing.T, path string) { remove(t, path); mkdir(t, filepath.Join(path, "x")) }},
	{"a folder in the place of its log", func(t *testing.T, path string) { mkdir(t, path+"-wal") }},
	{"a pipe", func(t *testing.T, path string) {
		remove(t, path)
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
	}},
	{"another program's", func(t *testing.T, path string) { remove(t, path); execute(t, path, "CREATE TABLE moz_places (id)") }},
	{"ours by name, without its tables", func(t *testing.T, path string) { execute(t, path, "DROP TABLE records") }},
	{"ours by name, with other columns", func(t *testing.T, path string) { execute(t, path, "ALTER TABLE runs RENAME COLUMN kind TO sort") }},
}

func TestADamagedFileIsSetAsideWithOneWarning(t *testing.T) {
	for _, spoil := range spoils {
		t.Run(spoil.name, func(t *testing.T) {
			dir := t.TempDir()
			spoil.do(t, filled(t, dir))
			var said warnings
			s := open(t, dir, &said)
			if added := add(t, s, run(1)); added != 1 {
				t.Errorf("added %d, want 1", added)
			}
			s.Close()
			s = open(t, dir, &said)
			if got := ids(t, s, history.Query{}); got != "RUN00001" {
				t.Errorf("got %q, want the new run alone", got)
			}
			if len(said) != 1 || !strings.Contains(said[0], "set aside as "+dir) {
				t.Errorf("got warnings %q, want one that says where the file is", said)
			}
			if got := aside(t, dir); len(got) != 1 {
				t.Errorf("got %q set aside, want one", got)
			}
		})
	}
}

func TestDamageThatShowsLaterIsSetAsideToo(t *testing.T) {
	dir := t.TempDir()
	path := filled(t, dir)
	var said warnings
	s := open(t, dir, &said)
	scribble(t, path)
	if got := add(t, s, run(7)); got != 1 {
		t.Errorf("added %d, want 1", got)
	}
	if got := ids(t, s, history.Query{}); got != "RUN00007" || len(said) != 1 {
		t.Errorf("got %q and warnings %q, want the new run and one warning", got, said)
	}
}

// TestWhoFindsTheDamageSecondKeepsTheNewFile has two that opened the file while
// it was whole.
func TestWhoFindsTheDamageSecondKeepsTheNewFile(t *testing.T) {
	dir := t.TempDir()
	path := filled(t, dir)
	var said warnings
	one, two := open(t, dir, &said), open(t, dir, &said)
	scribble(t, path)
	add(t, one, run(7))
	add(t, two, run(8))
	if got := ids(t, open(t, dir, nil), history.Query{}); got != "RUN00008 RUN00007" || len(said) != 1 || len(aside(t, dir)) != 1 {
		t.Errorf("got %q, warnings %q, set aside %q; want both runs, and one each", got, said, aside(t, dir))
	}
}

// scribble spoils all of a file but its first page, which tells what is in it.
func scribble(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte(strings.Repeat("\xff", int(info.Size())-4096)), 4096); err != nil {
		t.Fatal(err)
	}
}

func TestManyFindTheDamageAtOnce(t *testing.T) {
	dir := t.TempDir()
	write(t, filled(t, dir), "garbage, garbage")
	var mu sync.Mutex
	var said warnings
	var all sync.WaitGroup
	for n := range 20 {
		all.Go(func() {
			s, err := history.Open(t.Context(), dir, history.Options{Warn: func(w string) {
				mu.Lock()
				defer mu.Unlock()
				said = append(said, w)
			}})
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			if _, err := s.Add(t.Context(), run(n)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	got := strings.Fields(ids(t, open(t, dir, nil), history.Query{}))
	if len(got) != 20 || len(said) != 1 || len(aside(t, dir)) != 1 {
		t.Errorf("got %d runs, warnings %q, set aside %q; want 20 runs and one each", len(got), said, aside(t, dir))
	}
}

func TestWhatIsSetAsideDoesNotFillTheDisk(t *testing.T) {
	dir := t.TempDir()
	var said warnings
	for range 6 {
		s := open(t, dir, &said)
		path := s.Path()
		s.Close()
		write(t, path, "garbage, garbage")
	}
	if got := aside(t, dir); len(got) != 3 {
		t.Errorf("got %q set aside, want 3", got)
	}
}

func TestANewerFileIsLeftToItsVersion(t *testing.T) {
	dir := t.TempDir()
	path := filled(t, dir)
	execute(t, path, "PRAGMA user_version = 99; CREATE TABLE future (x)")
	var said warnings
	for n := range 2 {
		s := open(t, dir, &said)
		add(t, s, run(n))
		s.Close()
	}
	s := open(t, dir, &said)
	if got := ids(t, s, history.Query{}); got != "RUN00001 RUN00000" || s.Path() == path {
		t.Errorf("got %q in %s", got, s.Path())
	}
	if len(said) != 1 || len(aside(t, dir)) != 0 {
		t.Errorf("got warnings %q and %q set aside, want one warning", said, aside(t, dir))
	}
}

func TestAFolderThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), "")
	if _, err := history.Open(t.Context(), filepath.Join(dir, "file", "below"), history.Options{}); err == nil {
		t.Error("got no error, want one")
	}
}

// filled makes a history with some runs, closes it and returns its file.
func filled(t *testing.T, dir string) string {
	t.Helper()
	s := open(t, dir, nil)
	var runs []record.Run
	for n := range 200 {
		runs = append(runs, run(1000+n))
	}
	add(t, s, runs...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return s.Path()
}

func aside(t *testing.T, dir string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*.damaged-*[0-9]"))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func execute(t *testing.T, path, text string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(text); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func truncate(t *testing.T, path string, size int64) {
	t.Helper()
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
}
