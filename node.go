package outlast

import (
	"os"
	"path/filepath"
	"regexp"
)

// node is what the files of a project say of the registries of npm and yarn.
type node struct {
	scopes []string // that have registries of their own
	login  string   // the file that has one, or ""
	yarn   string   // the file that says where yarn's packages are, or ""
}

var (
	scopeLine = regexp.MustCompile(`(?m)^\s*(@[A-Za-z0-9._~-]+):registry\s*=`)
	loginLine = regexp.MustCompile(`(?mi)^\s*[^#;\s]*(?:_auth|_authToken|_password|npmAuthToken|npmAuthIdent)\s*[=:]`)
	yarnLine  = regexp.MustCompile(`(?m)^\s*(?:npmRegistryServer|npmScopes|npmRegistries|registry)\b`)
)

// maxSettings bounds a file of settings.
const maxSettings = 1 << 20

// readNode reads the settings in the root of a build context, where there are
// any. dir is empty where the context is not at hand.
func readNode(dir string) node {
	var n node
	if dir == "" {
		return n
	}
	for _, name := range []string{".npmrc", ".yarnrc", ".yarnrc.yml"} {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			continue
		}
		text, err := readAtMost(f, maxSettings)
		f.Close()
		if err != nil {
			continue
		}
		for _, m := range scopeLine.FindAllSubmatch(text, -1) {
			n.scopes = append(n.scopes, string(m[1]))
		}
		if loginLine.Match(text) {
			n.login = name
		}
		if name != ".npmrc" && yarnLine.Match(text) {
			n.yarn = name
		}
	}
	return n
}

// left is a manager whose RUNs keep their own settings, all of them.
type left struct{ manager, why string }

// leave lists those of the managers that are left alone: a login is for its
// registry's own host, and a variable would win over yarn's file.
func (n node) leave(managers []string) []left {
	var all []left
	for _, m := range managers {
		switch {
		case family(m) == "npm" && n.login != "":
			all = append(all, left{m, n.login + " has a login, which is for its own registry"})
		case m == "yarn" && n.yarn != "":
			all = append(all, left{m, n.yarn + " says where packages are"})
		}
	}
	return all
}

// contextDir is the folder of the build's context, or "".
func (b *build) contextDir() string {
	at, ok := b.args().Context()
	if !ok || at == "-" || remote(at) {
		return ""
	}
	return within(b.Dir, at)
}
