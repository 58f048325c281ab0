package images

import (
	"os"
	"path/filepath"
	"testing"
)

func TestAptSourceFindsTheMirrorOfASuite(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		want  AptSource
	}{
		"one line with options": {
			map[string]string{"sources.list": "# deb http://no.example.com/debian bookworm main\ndeb [arch=amd64 signed-by=/k.gpg] http://a.example.com/debian bookworm main contrib\n"},
			AptSource{Mirror: "http://a.example.com/debian", Keyring: "/k.gpg"},
		},
		"paragraphs, security aside": {
			map[string]string{"sources.list.d/debian.sources": "Types: deb\nURIs: http://s.example.com/debian-security\nSuites: bookworm-security\nComponents: main\n\n" +
				"Types: deb deb-src\nURIs: http://b.example.com/debian\nSuites: bookworm bookworm-updates\nComponents: main\nSigned-By: /usr/share/keyrings/k.gpg\n"},
			AptSource{Mirror: "http://b.example.com/debian", Keyring: "/usr/share/keyrings/k.gpg"},
		},
		"another distributor's file first": {
			map[string]string{"sources.list.d/a.list": "deb http://c.example.com/apt bookworm stable\n", "sources.list.d/b.list": "deb https://d.example.com/debian bookworm main\n"},
			AptSource{Mirror: "https://d.example.com/debian"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			os.Mkdir(filepath.Join(dir, "sources.list.d"), 0o755)
			for file, content := range test.files {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			got, err := aptSource("bookworm", dir)
			if err != nil || got.Mirror != test.want.Mirror || got.Keyring != test.want.Keyring {
				t.Errorf("got %+v, %v, want %+v", got, err, test.want)
			}
		})
	}
	if got, err := aptSource("bookworm", t.TempDir()); err == nil {
		t.Errorf("no sources: got %+v, want an error", got)
	}
}
