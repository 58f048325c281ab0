package outlast_test

import (
	"strings"
	"testing"

	"github.com/outlast-build/outlast/engine/enginetest"
)

// What a project says itself of npm's and yarn's registries wins.
func TestProjectsWithRegistriesOfTheirOwn(t *testing.T) {
	const npm, yarn = "env=npm_config_globalconfig", "env=YARN_NPM_REGISTRY_SERVER"
	for _, tt := range []struct {
		name, file, text string
		npm, yarn        bool // led to the gateway
	}{
		{"nothing said", "other", "", true, true},
		{"a scope", ".npmrc", "@acme:registry=https://npm.example.com/\n", true, true},
		{"a login", ".npmrc", "//npm.example.com/:_authToken=${TOKEN}\n", false, false},
		{"a login that is a comment", ".npmrc", "# _authToken=x\n", true, true},
		{"yarn's own registry", ".yarnrc.yml", "nodeLinker: node-modules\nnpmRegistryServer: https://npm.example.com\n", true, false},
		{"yarn's own login", ".yarnrc.yml", "npmAuthToken: x\n", false, false},
		{"other settings of yarn's", ".yarnrc.yml", "nodeLinker: node-modules\n", true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t)
			s.settings.Packages.NPM = []string{"https://npm.example.com/"}
			s.write(t, "Dockerfile", "FROM "+s.host+"/base:1\nRUN npm ci\nRUN yarn install\n")
			s.write(t, tt.file, tt.text)
			e := &enginetest.Engine{Scripts: []enginetest.Script{{Run: pull}}}
			if _, err := s.build(e); err != nil {
				t.Fatal(err)
			}
			text := string(e.Requests()[0].Text)
			if strings.Contains(text, npm) != tt.npm || strings.Contains(text, yarn) != tt.yarn {
				t.Errorf("got\n%s\nwant npm %t, yarn %t", text, tt.npm, tt.yarn)
			}
		})
	}
}
