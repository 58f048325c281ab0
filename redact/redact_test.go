package redact_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/outlast-build/outlast/redact"
)

// planted must be in no output. Each form of secret holds it.
const planted = "Hunter2Pl4nted9z"

func TestTextTakesSecretsOut(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"a login in an address":           {"Get https://bob:" + planted + "@registry.example.com/v2/: EOF", "Get https://***@registry.example.com/v2/: EOF"},
		"a token alone in an address":     {"clone https://" + planted + "@git.example.com/a.git", "clone https://***@git.example.com/a.git"},
		"a login with an at sign":         {"https://bob:p@" + planted + "@git.example.com/a", "https://***@git.example.com/a"},
		"a login of ssh or a database":    {"postgres://app:" + planted + "@db.example.com:5432/x", "postgres://***@db.example.com:5432/x"},
		"a signed query":                  {`Put "https://sa.example.net/c/1?comp=block&sig=` + planted + `&se=2026": EOF`, `Put "https://sa.example.net/c/1?comp=block&***": EOF`},
		"a query of a path alone":         {"PUT /c/1?X-Amz-Signature=" + planted + " 403", "PUT /c/1?*** 403"},
		"a mirror's name stays":           {"Head https://m.example.com/v2/a/manifests/1?ns=docker.io: EOF", "Head https://m.example.com/v2/a/manifests/1?ns=docker.io: EOF"},
		"a header":                        {"> Authorization: Basic " + planted, "> Authorization: ***"},
		"a header of Go":                  {`map[Authorization:[Bearer ` + planted + `] Accept:[*/*]]`, `map[Authorization:[***] Accept:[*/*]]`},
		"a header of GitLab":              {"curl -H 'PRIVATE-TOKEN: " + planted + "' https://git.example.com", "curl -H 'PRIVATE-TOKEN: ***' https://git.example.com"},
		"a cookie":                        {"Set-Cookie: sid=" + planted + "; Path=/", "Set-Cookie: ***"},
		"a bearer anywhere":               {"sent bearer " + planted + " twice", "sent bearer *** twice"},
		"an assignment":                   {"export NPM_TOKEN=" + planted + " && npm ci", "export NPM_TOKEN=*** && npm ci"},
		"an assignment in quotes":         {`DB_PASSWORD="` + planted + ` with words" make`, `DB_PASSWORD=*** make`},
		"a build argument":                {"--build-arg GITHUB_TOKEN=" + planted + " .", "--build-arg GITHUB_TOKEN=*** ."},
		"a cache's key":                   {"type=s3,bucket=b,access_key_id=A1,secret_access_key=" + planted + ",region=x", "type=s3,bucket=b,access_key_id=***,secret_access_key=***,region=x"},
		"npm's settings":                  {"//npm.example.org/:_authToken=" + planted, "//npm.example.org/:_authToken=***"},
		"JSON":                            {`{"user":"bob","password":"` + planted + `","n":1}`, `{"user":"bob","password":"***","n":1}`},
		"JSON with a quote in it":         {`{"password": "a\"` + planted + `","n":1}`, `{"password": "***","n":1}`},
		"JSON within a string":            {`body="{\"token\":\"` + planted + `\"}"`, `body="{\"token\":"***"}"`},
		"YAML":                            {"  api_key: " + planted, "  api_key: ***"},
		"a flag":                          {"docker login -u bob --password " + planted + " ghcr.io", "docker login -u bob --password *** ghcr.io"},
		"a token of GitHub":               {"fatal: ghp_" + planted + "0123456789 is no good", "fatal: *** is no good"},
		"a JSON web token":                {"got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ" + planted + "." + planted + " back", "got *** back"},
		"a private key":                   {"x\n-----BEGIN RSA PRIVATE KEY-----\n" + planted + "\nMII\n-----END RSA PRIVATE KEY-----\ny", "x\n-----BEGIN RSA PRIVATE KEY-----***-----END RSA PRIVATE KEY-----\ny"},
		"a private key that is cut":       {"-----BEGIN OPENSSH PRIVATE KEY-----\n" + planted, "-----BEGIN OPENSSH PRIVATE KEY-----***"},
		"an error that speaks of a token": {"failed to fetch oauth token: unexpected status: 401", "failed to fetch oauth token: unexpected status: 401"},
		"an address without secrets":      {"Get https://deb.example.org/pool/a.deb: 404", "Get https://deb.example.org/pool/a.deb: 404"},
		"a secret's id":                   {"--secret id=npmrc,src=/home/a/.npmrc", "--secret id=npmrc,src=/home/a/.npmrc"},
		"an error about authorization":    {"may require authorization: server message: insufficient_scope: authorization failed", "may require authorization: server message: insufficient_scope: authorization failed"},
		"a question":                      {"did you mean RUN? see /docs", "did you mean RUN? see /docs"},
		"an e-mail address":               {"by bob@example.com", "by bob@example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			got := redact.Text(tt.text)
			if got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
			if again := redact.Text(got); again != got {
				t.Errorf("a second time gives %q", again)
			}
			if strings.Contains(got, planted) {
				t.Error("the secret is there")
			}
		})
	}
}

func TestRedactorKnowsValues(t *testing.T) {
	r := redact.Of("CI_JOB_TOKEN="+planted, "HTTP_PROXY=http://bob:s3cretpw@proxy.example.com:3128", "PASSWORD=", "TOKEN=abc", "SSH_KEY_SECRET_FILE=/run/secrets/key", "PATH=/usr/bin")
	got := r.Text("line with " + planted + " in it, s3cretpw, abc, /run/secrets/key, /usr/bin")
	if want := "line with *** in it, ***, abc, /run/secrets/key, /usr/bin"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := (*redact.Redactor)(nil).Text("TOKEN=" + planted); got != "TOKEN=***" {
		t.Errorf("got %q from one that knows nothing", got)
	}
}

func TestArgs(t *testing.T) {
	args := []string{"build", "--build-arg", "TOKEN=" + planted, "--password", planted, "--secret", "id=x,env=TOKEN", "--build-arg=A=b", "."}
	want := []string{"build", "--build-arg", "TOKEN=***", "--password", "***", "--secret", "id=x,env=TOKEN", "--build-arg=A=b", "."}
	if got := redact.Of().Args(args); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSecretNames(t *testing.T) {
	for name, want := range map[string]bool{
		"NPM_TOKEN": true, "password": true, "AWS_SECRET_ACCESS_KEY": true, "DB_PASSWD": true, "apiKey": true, "API-KEY": true,
		"PATH": false, "KEYBOARD": false, "GOFLAGS": false, "VERSION": false, "CACHE_KEY": false, "AUTHOR": false,
	} {
		if got := redact.Secret(name); got != want {
			t.Errorf("%s: got %t, want %t", name, got, want)
		}
	}
}

// What is known to be clean stays, and no text grows without bound.
func FuzzText(f *testing.F) {
	f.Add("https://a:b@c/?token=x&" + planted)
	f.Add(`"password": "\"`)
	f.Fuzz(func(t *testing.T, s string) {
		once := redact.Text(s)
		if len(once) > 12*len(s)+100 {
			t.Errorf("got %d bytes from %d", len(once), len(s))
		}
	})
}

func TestForBuild(t *testing.T) {
	env := []string{"HANDED=" + planted, "id1=by its id 77", "PLAIN=plain words"}
	for _, args := range [][]string{
		{"--secret", "id=x,env=HANDED", "."},
		{"--secret=type=env,id=HANDED", "."},
		{"--build-arg", "API_TOKEN=" + planted, "."},
		{"--build-arg=API_TOKEN=" + planted, "."},
	} {
		if got := redact.ForBuild(args, env).Text("log: " + planted + ", plain words"); got != "log: ***, plain words" {
			t.Errorf("%q: got %q", args, got)
		}
	}
}
