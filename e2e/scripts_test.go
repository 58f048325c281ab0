package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/internal/testenv"
)

// onMachine begins a Dockerfile with the programs of a machine.
const onMachine = `FROM debian:latest AS ready
COPY --from=machine / /
ENV LD_LIBRARY_PATH=/opt/lib
WORKDIR /app
`

// ways are how the first of two sources fails, and then both.
var ways = []struct {
	name          string
	first, second faultnet.Fault
	want          string // of the first, behind its name
}{
	{"the first answers 503", faultnet.Status(503), faultnet.Fault{}, "reports an outage"},
	{"the first answers with a page", faultnet.OKHTML(), faultnet.Fault{}, "answers with an HTML page"},
	{"all is down, and the store is warm", faultnet.Refuse(), faultnet.Refuse(), ""},
}

// survives builds dir through all ways, each from an empty store but for the
// last.
func (b *bench) survives(dir, programs string, first, second *faultnet.Service, texts ...string) {
	for _, way := range ways {
		b.t.Run(way.name, func(t *testing.T) {
			for s, f := range map[*faultnet.Service]faultnet.Fault{first: way.first, second: way.second} {
				if err := s.Play(faultnet.Always(f)); err != nil {
					t.Fatal(err)
				}
				s.CloseConnections()
			}
			if way.want != "" {
				b.env = append(b.env, "OUTLAST_STORE_PATH="+b.t.TempDir())
			}
			got := b.build(dir, "--build-context", "machine="+programs, "--no-cache-filter", "app", "--attempts", "1")
			got.want(t, 0, texts...)
			if way.want != "" {
				got.want(t, 0, first.Host()+" "+way.want)
			}
			t.Logf("%v\n%s", got.took, got.stderr)
		})
	}
}

const npmLock = `{
  "name": "app", "version": "1.0.0", "lockfileVersion": 3, "requires": true,
  "packages": {
    "": {"name": "app", "version": "1.0.0", "dependencies": {"is-odd": "3.0.1"}},
    "node_modules/is-number": {"version": "6.0.0", "resolved": "%[1]s/is-number/-/is-number-6.0.0.tgz",
      "integrity": "sha512-Wu1VHeILBK8KAWJUAiSZQX94GmOE45Rg6/538fKwiloUu21KncEkYGPqob2oSZ5mUT73vLGrHQjKw3KMPwfDzg=="},
    "node_modules/is-odd": {"version": "3.0.1", "resolved": "%[1]s/is-odd/-/is-odd-3.0.1.tgz",
      "integrity": "sha512-CQpnWPrDwmP1+SMHXZhtLtJv90yiyVfluGsX5iNCVkrhQtU3TQHsUWPG9wkdk9Lgd5yNpAg9jQEo90CBaXgWMA==",
      "dependencies": {"is-number": "^6.0.0"}}
  }
}
`

func TestNPMInARunSurvives(t *testing.T) {
	t.Parallel()
	b := newBench(t, publicSites)
	home, err := testenv.NPMRegistry()
	first, second := upstream(t, home, err), upstream(t, home, err)
	b.env = []string{"OUTLAST_PACKAGES_NPM=" + first.URL() + " " + second.URL()}
	programs := newMachine(t, testenv.Machine.AddNPM)
	// The step without a lock file writes one, which names the registry.
	dir := b.context(onMachine + `FROM ready AS app
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund && grep version node_modules/is-number/package.json
RUN rm -rf ~/.npm node_modules package-lock.json && npm install --no-audit --no-fund --no-update-notifier && grep resolved package-lock.json
`)
	for name, text := range map[string]string{
		"package.json":      `{"name": "app", "version": "1.0.0", "private": true, "dependencies": {"is-odd": "3.0.1"}}`,
		"package-lock.json": fmt.Sprintf(npmLock, first.URL()),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b.survives(dir, programs, first, second, `"version": "6.0.0"`, `"resolved": "`+first.URL()+"/is-odd/-/is-odd-3.0.1.tgz")
}

func TestPipInARunSurvives(t *testing.T) {
	t.Parallel()
	b := newBench(t, publicSites)
	index := new(testenv.PythonIndex)
	if err := errors.Join(index.Add("left-pad", "pad-core"), index.Add("pad-core")); err != nil {
		t.Fatal(err)
	}
	first, second := served(t, index), served(t, index)
	b.env = []string{"OUTLAST_PACKAGES_PIP=" + first.URL() + "/simple/ " + second.URL() + "/simple/"}
	programs := newMachine(t, testenv.Machine.AddPip)
	dir := b.context(onMachine + `FROM ready AS app
RUN pip install --no-cache-dir --target /site left-pad && PYTHONPATH=/site python3 -c "import left_pad, pad_core; print('has', pad_core.name)"
`)
	b.survives(dir, programs, first, second, "has pad-core")
}
