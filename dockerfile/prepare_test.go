package dockerfile_test

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/outlast-build/outlast/dockerfile"
)

const (
	goMount   = " --mount=type=secret,id=outlast-goproxy,env=GOPROXY"
	aptMount  = " --mount=type=secret,id=outlast-apt,target=/dev/outlast/apt.conf,mode=0444 --mount=type=secret,id=outlast-apt-config,env=APT_CONFIG"
	npmMount  = " --mount=type=secret,id=outlast-npm,target=/dev/outlast/npmrc,mode=0444 --mount=type=secret,id=outlast-npm-config,env=npm_config_globalconfig"
	yarnMount = " --mount=type=secret,id=outlast-yarn,env=YARN_NPM_REGISTRY_SERVER --mount=type=secret,id=outlast-yarn-http,env=YARN_UNSAFE_HTTP_WHITELIST"
	uvMount   = " --mount=type=secret,id=outlast-uv,env=UV_DEFAULT_INDEX"
	pipMount  = " --mount=type=secret,id=outlast-pip,target=/dev/outlast/pip.conf,mode=0444 --mount=type=secret,id=outlast-pip-config,env=PIP_CONFIG_FILE"
)

var apkMount = " " + dockerfile.ImageSecret("docker.io/library/base:latest").Mount()

func prepareAll(src string, change func(*dockerfile.PrepareOptions)) (dockerfile.Preparation, error) {
	o := dockerfile.PrepareOptions{
		Options:  dockerfile.Options{Args: map[string]string{}, BuildPlatform: "linux/amd64"},
		Managers: dockerfile.Carried(),
		Lists:    map[string]bool{"docker.io/library/base:latest": true},
		Env:      map[string][]string{"docker.io/library/base:latest": {"PATH=/bin"}, "docker.io/library/own:latest": {"GOPROXY=https://proxy.example.com"}},
	}
	if change != nil {
		change(&o)
	}
	return dockerfile.Prepare([]byte(src), o)
}

// In the tables «go» stands for the mounts that are added.
var marks = strings.NewReplacer("«go»", goMount, "«apt»", aptMount, "«npm»", npmMount, "«pip»", pipMount, "«yarn»", yarnMount, "«uv»", uvMount, "«apk»", apkMount)
var unmark = regexp.MustCompile(`«\w+»`)

func TestPrepare(t *testing.T) {
	for _, tt := range []struct{ name, file string }{
		{"each manager gets its own mounts", "FROM base\nRUN«go» go mod download\nRUN true\nRUN«apt» apt-get update && apt-get install -y curl\nRUN«npm» npm ci\nRUN«pip» pip install x\n"},
		{"one step with several", "FROM base\nRUN«go»«apt» apt-get update && \\\n    go build ./...\n"},
		{"npm and pnpm share theirs", "FROM base\nRUN«npm» npm ci && pnpm install\n"},
		{"flags of the user's stay behind ours", "FROM base\nRUN«go» --mount=type=cache,target=/go/pkg/mod --network=host go mod download\n"},
		{"small letters, blanks and tabs", "FROM base\n  run«go»\tgo mod download\n"},
		{"the line goes on at once", "FROM base\nRUN«go» \\\n # a comment\n\n  go mod download\n"},
		{"the line goes on without a blank", "FROM base\nRUN«go»\\\n go mod download\n"},
		{"another escape character", "# escape=`\nFROM base\nRUN«go» `\n  go mod download\n"},
		{"windows line ends", "FROM base\r\nRUN«go» go mod download\r\n"},
		{"no line end at the end", "FROM base\nRUN«go» go mod download"},
		{"exec form", "FROM base\nRUN«go» [\"go\", \"mod\", \"download\"]\n"},
		{"a here-document", "FROM base\nRUN«apt» <<EOF\nset -e\napt-get update\nEOF\n"},
		{"a here-document for another shell", "FROM base\nRUN«apt» <<-\"EOF\" bash -e\n\tapt-get update\n\tEOF\n"},
		{"another shell and another user", "FROM base\nSHELL [\"/bin/bash\", \"-ec\"]\nUSER 1000\nRUN«go» go mod download\n"},
		{"no network", "FROM base\nRUN --network=none go build ./...\n"},
		{"the host's network", "FROM base\nRUN«go» --network=host go build ./...\n"},
		{"what runs in other builds", "FROM base\nONBUILD RUN go mod download\n"},
		{"a trigger of a stage before", "FROM base AS a\nONBUILD RUN go mod download\nFROM a\nRUN«apt» apt-get update\n"},
		{"a comment between", "FROM base\n# RUN go mod download\n\nRUN«go» go mod download # RUN go\n"},
		{"a stage that is not built", "FROM base AS a\nRUN go mod download\nFROM base\nRUN«go» go mod download\n"},
		{"ENV says it", "FROM base\nENV GOPROXY=https://proxy.example.com\nRUN go mod download\nRUN«apt» apt-get update\n"},
		{"ENV of the stage below says it", "FROM base AS a\nENV GOPROXY=off\nFROM a\nRUN go build\nFROM base\nCOPY --from=1 / /\nRUN«go» go build\n"},
		{"ARG says it", "FROM base\nARG GOPROXY=https://proxy.example.com\nRUN go mod download\n"},
		{"the command says it", "FROM base\nRUN GOPROXY=https://proxy.example.com go mod download\nRUN«go» go build\n"},
		{"a mount of the user's says it", "FROM base\nRUN --mount=type=secret,id=x,env=GOPROXY go mod download\n"},
		{"go env -w says it", "FROM base\nRUN go env -w GOPROXY=https://proxy.example.com\nRUN go mod download\n"},
		{"the base image says it", "FROM own\nRUN go mod download\nRUN«apt» apt-get update\n"},
		{"nobody knows what the base image says", "FROM other\nRUN go mod download\nRUN«apt» apt-get update\n"},
		{"scratch says nothing", "FROM scratch\nCOPY go /\nRUN«go» [\"/go\", \"mod\", \"download\"]\n"},
		{"npm's global file is the user's", "FROM base\nRUN npm config set registry https://npm.example.com --location=global\nRUN npm ci\n"},
		{"a proxy is the user's", "FROM base\nENV http_proxy=http://proxy.example.com:3128\nRUN apt-get update\n"},
		{"apk", "FROM base AS a\nCOPY x /app/\nFROM a\nRUN«apk» apk add --no-cache git\nRUN«apk» apk update && apk add git && rm -rf /var/cache/apk/*\n"},
		{"apk beside others", "FROM base\nRUN«go»«apk» apk --no-cache add go && go mod download\n"},
		{"apk that keeps an index", "FROM base\nRUN apk update\nRUN apk add --no-cache a && apk add b\n"},
		{"apk in an image of which nothing is known", "FROM other\nRUN apk add --no-cache git\n"},
		{"apk with repositories of the user's", "FROM base\nRUN echo https://apk.example.com/x >>/etc/apk/repositories\nRUN apk add --no-cache git\n"},
		{"apk below files of the user's", "FROM base AS a\nCOPY rootfs/ /\nFROM a\nRUN apk add --no-cache git\n"},
		{"apk above files of the user's", "FROM base\nRUN«apk» apk add --no-cache git\nCOPY rootfs/ /\n"},
		{"yarn", "FROM base\nRUN«yarn» yarn install --immutable\n"},
		{"yarn with a file of its own", "FROM base\nCOPY .yarnrc.yml ./\nRUN yarn install --immutable\n"},
		{"npm with a login", "FROM base\nRUN --mount=type=secret,id=npmrc,target=/root/.npmrc npm ci && yarn install\n"},
		{"uv as pip", "FROM base\nRUN«uv» uv pip install --system flask && uv tool install ruff && uvx black\n"},
		{"uv with a project", "FROM base\nRUN uv sync --locked\nRUN uv pip install x && uv run y\n"},
		{"uv with an index of the user's", "FROM base\nENV UV_INDEX_URL=https://pypi.example.com/simple\nRUN uv pip install x\n"},
		{"poetry has no setting for its index", "FROM base\nRUN poetry install\n"},
		{"new frontends", "# syntax=docker/dockerfile:1\nFROM base\nRUN«go» go mod download\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := unmark.ReplaceAllString(tt.file, "")
			p, err := prepareAll(src, nil)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(marks.Replace(tt.file), string(dockerfile.Apply([]byte(src), p.Edits))); d != "" {
				t.Errorf("want -, got +, left %+v:\n%s", p.Left, d)
			}
		})
	}
}

func TestFrontendsThatMayBeTooOld(t *testing.T) {
	for ref, want := range map[string]bool{
		"docker/dockerfile:1": true, "docker/dockerfile": true, "docker/dockerfile:labs": true, "docker/dockerfile:1-labs": true,
		"docker/dockerfile:1.10": true, "docker.io/docker/dockerfile:1.20.1": true, "docker/dockerfile:1.12-labs": true,
		"mirror.example.com/docker/dockerfile:1.14": true,
		"docker/dockerfile:1.9":                     false, "docker/dockerfile:1.7-labs": false, "docker/dockerfile:1.0.0": false, "docker/dockerfile:experimental": false,
		"docker/dockerfile@sha256:94f340eeaffe9a66e8155ff3e47ccbee87e701ae8a6bf9d0f88fb3656e0f1ac0": false,
		"example.com/other/frontend:1": false,
	} {
		_, err := prepareAll("# syntax="+ref+"\nFROM base\nRUN go mod download\n", nil)
		if (err == nil) != want {
			t.Errorf("%s: got %v, want prepared %t", ref, err, want)
		}
	}
}

func TestWhatIsLeft(t *testing.T) {
	p, err := prepareAll("FROM own\nRUN go mod download\nRUN apt-get update\nENV APT_CONFIG=/x\nRUN apt-get update\n", nil)
	want := dockerfile.Preparation{
		Edits: p.Edits, Managers: []string{"apt"},
		Left: []dockerfile.Left{{Line: 2, Manager: "go", Why: "the base image sets GOPROXY"}, {Line: 5, Manager: "apt", Why: "APT_CONFIG is set"}},
	}
	if d := cmp.Diff(want, p); err != nil || d != "" {
		t.Errorf("%v, want -, got +:\n%s", err, d)
	}
}

// A RUN that one platform's base forbids to touch stays, since all platforms
// share the file.
func TestPlatformsShareTheFile(t *testing.T) {
	src := "FROM base AS amd64\nFROM own AS arm64\nFROM ${TARGETARCH}\nRUN go mod download\n"
	p, err := prepareAll(src, func(o *dockerfile.PrepareOptions) { o.Platforms = []string{"linux/amd64", "linux/arm64"} })
	if err != nil || len(p.Edits) > 0 || len(p.Left) != 1 {
		t.Errorf("got %+v, %v, want the RUN left alone", p, err)
	}
	p, err = prepareAll(src, nil)
	if err != nil || len(p.Edits) != 1 {
		t.Errorf("got %+v, %v, want the RUN prepared for the one platform", p, err)
	}
}

func TestPlatformsWithListsOfTheirOwn(t *testing.T) {
	p, err := prepareAll("FROM base AS amd64\nFROM third AS arm64\nFROM ${TARGETARCH}\nRUN apk add --no-cache git\n", func(o *dockerfile.PrepareOptions) {
		o.Platforms = []string{"linux/amd64", "linux/arm64"}
		o.Lists["docker.io/library/third:latest"] = true
	})
	if err != nil || len(p.Edits) > 0 || len(p.Left) != 1 || p.Left[0].Why != "its platforms have different base images" {
		t.Errorf("got %+v, %v, want the RUN left alone", p, err)
	}
}

func TestOnlyTheManagersThatAreAskedFor(t *testing.T) {
	p, err := prepareAll("FROM base\nRUN apt-get update && npm ci\n", func(o *dockerfile.PrepareOptions) { o.Managers = []string{"npm"} })
	if err != nil || len(p.Edits) != 1 || p.Edits[0].Text != npmMount {
		t.Errorf("got %+v, %v", p, err)
	}
}

var ours = regexp.MustCompile(` --mount=type=secret,id=outlast-[a-z-]+,(env=\w+|target=/dev/outlast/[a-z.]+,mode=0444)| --mount=type=secret,id=outlast-apk-[0-9a-f]{8},target=/etc/apk/repositories,mode=0444`)

// FuzzPrepare: the edited file has every byte of the original in its order,
// BuildKit's parser reads it, in the same lines, and what it reads differs by
// the mounts alone.
func FuzzPrepare(f *testing.F) {
	for _, s := range shapes(f) {
		f.Add(s.src)
	}
	f.Add([]byte("# escape=`\nFROM base\nRUN`\n go build\nRUN <<A <<B sh\napt-get update\nA\nx\nB\n"))
	f.Add([]byte("FROM base\nRUN\\\n\\\ngo build\nOnBuild run go build\nRun [\"go\",\"get\"]\n"))
	f.Fuzz(func(t *testing.T, src []byte) {
		if len(src) > 1<<14 || ours.Match(src) {
			return
		}
		p, err := prepareAll(string(src), nil)
		if err != nil {
			return
		}
		edited := dockerfile.Apply(src, p.Edits)
		if back := ours.ReplaceAll(edited, nil); !bytes.Equal(back, src) {
			t.Fatalf("more than mounts changed: %q became %q", src, edited)
		}
		if !valid(edited) {
			t.Fatalf("BuildKit does not read %q", edited)
		}
		was, is := nodes(t, src), nodes(t, edited)
		if !slices.Equal(was, is) {
			t.Fatalf("got %q, want %q", is, was)
		}
	})
}

// nodes is what BuildKit's parser reads, without our mounts.
func nodes(t *testing.T, src []byte) []string {
	t.Helper()
	result, err := parser.Parse(bytes.NewReader(src))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, n := range result.AST.Children {
		flags := slices.DeleteFunc(slices.Clone(n.Flags), func(f string) bool { return ours.MatchString(" " + f) })
		n.Flags = nil
		all = append(all, fmt.Sprint(n.StartLine, n.EndLine, flags, n.Dump(), n.Heredocs, n.PrevComment))
	}
	return all
}
