package cli_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/internal/cli"
	"github.com/outlast-build/outlast/internal/daemon"
	"github.com/outlast-build/outlast/stats"
)

func TestServe(t *testing.T) {
	dir := t.TempDir()
	token := func(text string) string {
		path := filepath.Join(dir, "token"+strings.TrimSpace(text))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const good = "a-token-of-thirty-two-characters"
	for _, tt := range []struct {
		name string
		args []string
		env  []string
		err  error
		code int
		out  string // on standard output
		text string // on standard error
		want func(cli.ServeRequest) bool
	}{
		{"on this machine", nil, nil, nil, 0, "dashboard on http://127.0.0.1:1\ngateway on http://127.0.0.1:2\nActions cache on http://127.0.0.1:3\n", "",
			func(r cli.ServeRequest) bool {
				return r.Settings.Serve.Listen == "127.0.0.1:5180" && r.Token == "" && !r.Alone && r.Settings.Serve.Check > 0
			}},
		{"for programs", []string{"--format", "json", "--listen", "127.0.0.1:0", "--no-check"}, nil, nil, 0, `"dashboard": "http://127.0.0.1:1"`, "",
			func(r cli.ServeRequest) bool {
				return r.Settings.Serve.Listen == "127.0.0.1:0" && r.Settings.Serve.Check == 0
			}},
		{"a cache that other machines reach", nil, []string{"OUTLAST_ACTIONS_LISTEN=0.0.0.0:5200"}, nil, 2, "", "actions.public: true", nil},
		{"for other machines without a token", []string{"--listen", ":5180"}, nil, nil, 2, "", "name a token with --token-file", nil},
		{"for other machines with one", []string{"--listen", "0.0.0.0:5180", "--token-file", token(good + "\n"), "--no-gateway"}, nil, nil, 0, "", "",
			func(r cli.ServeRequest) bool { return r.Token == good && r.Alone }},
		{"with one of the environment", []string{"--listen", "0.0.0.0:5180"}, []string{"OUTLAST_SERVE_TOKEN=" + good}, nil, 0, "", "", func(r cli.ServeRequest) bool { return r.Token == good }},
		{"a token that can be guessed", []string{"--token-file", token("secret")}, nil, nil, 2, "", "fewer than 16 characters", nil},
		{"an empty token", []string{"--token-file", token("\n")}, nil, nil, 2, "", "is empty", nil},
		{"no such file", []string{"--token-file", filepath.Join(dir, "none")}, nil, nil, 2, "", "read the token", nil},
		{"a port that is taken", nil, nil, &fault.Error{Op: "listen on 127.0.0.1:5180", Kind: fault.Config, Err: syscall.EADDRINUSE}, 2, "", "take another port with --listen", nil},
		{"arguments", []string{"x"}, nil, nil, 2, "", "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got *cli.ServeRequest
			parts := cli.Parts{Serve: func(_ context.Context, r cli.ServeRequest) error {
				got = &r
				if tt.err == nil {
					r.Ready(daemon.Addresses{Dashboard: "127.0.0.1:1", Gateway: "127.0.0.1:2", Actions: "127.0.0.1:3"})
				}
				return tt.err
			}}
			r := runIn(t, parts, tt.env, append([]string{"serve"}, tt.args...)...)
			if r.code != tt.code || !strings.Contains(r.stdout, tt.out) || !strings.Contains(r.stderr, tt.text) {
				t.Errorf("got %+v, want code %d, %q and %q", r, tt.code, tt.out, tt.text)
			}
			if tt.want != nil && (got == nil || !tt.want(*got)) {
				t.Errorf("got the request %+v", got)
			}
			if got != nil {
				if all, thin := got.Advice(stats.Tally{}); len(all) != 0 || !strings.Contains(thin, "20 are needed") {
					t.Errorf("on no builds: got %v, %q", all, thin)
				}
			}
			if strings.Contains(r.stdout+r.stderr, good) {
				t.Errorf("the token is told: %+v", r)
			}
		})
	}
}
