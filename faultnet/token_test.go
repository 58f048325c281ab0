package faultnet_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/faultnet"
)

// town is a registry that is guarded by a token service, on two hosts.
func town(tokens *faultnet.TokenService) (hosts faultnet.Hosts, auth *faultnet.Transport) {
	auth = &faultnet.Transport{Backend: tokens}
	guarded := tokens.Guard("https://auth.example.com/token", http.HandlerFunc(registry))
	return faultnet.Hosts{
		"auth.example.com":     auth,
		"registry.example.com": &faultnet.Transport{Backend: guarded},
	}, auth
}

// send sends one request with an Authorization header and returns the status
// and the challenge.
func send(ctx context.Context, t http.RoundTripper, method, path, authorization string) (int, string) {
	req, _ := http.NewRequestWithContext(ctx, method, "https://registry.example.com"+path, nil)
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	resp, err := t.RoundTrip(req)
	if err != nil {
		return 0, err.Error()
	}
	resp.Body.Close()
	return resp.StatusCode, resp.Header.Get("WWW-Authenticate")
}

// token asks for a token with this scope, and returns it as a header has it.
func token(ctx context.Context, t http.RoundTripper, scope, user, password string) (string, int) {
	req, _ := http.NewRequestWithContext(ctx, "GET", "https://auth.example.com/token?service=faultnet&scope="+url.QueryEscape(scope), nil)
	if user != "" {
		req.SetBasicAuth(user, password)
	}
	return tokenOf(t, req)
}

func tokenOf(t http.RoundTripper, req *http.Request) (string, int) {
	resp, err := t.RoundTrip(req)
	if err != nil {
		return err.Error(), 0
	}
	defer resp.Body.Close()
	var body struct {
		Token   string `json:"token"`
		Expires int    `json:"expires_in"`
	}
	if json.NewDecoder(resp.Body).Decode(&body) != nil || body.Token == "" {
		return "", resp.StatusCode
	}
	return "Bearer " + body.Token, resp.StatusCode
}

func TestAGuardedRegistry(t *testing.T) {
	const pull = "repository:library/app:pull"
	synctest.Test(t, func(t *testing.T) {
		tokens := &faultnet.TokenService{Life: time.Minute}
		hosts, _ := town(tokens)
		ctx := t.Context()
		good, _ := token(ctx, hosts, pull, "", "")
		both, _ := token(ctx, hosts, "repository:other:pull repository:library/app:push,pull", "", "")
		other, _ := token(ctx, hosts, "repository:other:pull", "", "")
		challenge := `Bearer realm="https://auth.example.com/token",service="faultnet"`
		for _, tt := range []struct {
			name, method, path, authorization string
			status                            int
			challenge                         string
		}{
			{"a ping without a token", "GET", "/v2/", "", 401, challenge},
			{"a ping with any token", "GET", "/v2/", other, 200, ""},
			{"a tag without a token", "HEAD", tagPath, "", 401, challenge + `,scope="` + pull + `"`},
			{"a tag with its token", "HEAD", tagPath, good, 200, ""},
			{"a blob with a token of several scopes", "GET", layerPath, both, 200, ""},
			{"a tag with another's token", "GET", tagPath, other, 401, challenge + `,scope="` + pull + `",error="insufficient_scope"`},
			{"a push with a token for pulls", "POST", "/v2/library/app/blobs/uploads/", good, 401, challenge + `,scope="repository:library/app:push",error="insufficient_scope"`},
			{"a put with a token for pulls", "PUT", tagPath, good, 401, challenge + `,scope="repository:library/app:push",error="insufficient_scope"`},
			{"an invented token", "GET", tagPath, "Bearer invented", 401, challenge + `,scope="` + pull + `",error="invalid_token"`},
			{"a password where a token is asked", "GET", tagPath, "Basic dTpw", 401, challenge + `,scope="` + pull + `"`},
		} {
			status, got := send(ctx, hosts, tt.method, tt.path, tt.authorization)
			if status != tt.status || got != tt.challenge {
				t.Errorf("%s: got %d %s, want %d %s", tt.name, status, got, tt.status, tt.challenge)
			}
		}
		time.Sleep(time.Minute + 1)
		if status, _ := send(ctx, hosts, "GET", tagPath, good); status != 401 {
			t.Errorf("got %d with a token that ran out, want 401", status)
		}
		good, _ = token(ctx, hosts, pull, "", "")
		tokens.Revoke()
		if status, _ := send(ctx, hosts, "GET", tagPath, good); status != 401 {
			t.Errorf("got %d with a revoked token, want 401", status)
		}
	})
}

func TestLogins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tokens := &faultnet.TokenService{Users: map[string]string{"ada": "lovelace"}, Closed: true}
		hosts, auth := town(tokens)
		ctx := t.Context()
		for _, tt := range []struct {
			name, user, password string
			want                 int
		}{
			{"nobody", "", "", 401},
			{"a user with the password", "ada", "lovelace", 200},
			{"a user with another password", "ada", "byron", 401},
			{"an unknown user", "bob", "", 401},
		} {
			got, status := token(ctx, hosts, "repository:a:pull", tt.user, tt.password)
			if status != tt.want || (got == "") != (tt.want == 401) {
				t.Errorf("%s: got %d and token %q, want %d", tt.name, status, got, tt.want)
			}
		}
		form := url.Values{"grant_type": {"password"}, "username": {"ada"}, "password": {"lovelace"}, "scope": {"repository:a:pull"}}
		req, _ := http.NewRequestWithContext(ctx, "POST", "https://auth.example.com/token", strings.NewReader(form.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if got, status := tokenOf(hosts, req); status != 200 || got == "" {
			t.Errorf("OAuth 2: got %d and token %q, want 200 and one", status, got)
		}
		scope := []string{"repository:a:pull"}
		want := []faultnet.Login{
			{Scopes: scope},
			{User: "ada", Password: "lovelace", Scopes: scope, Issued: true},
			{User: "ada", Password: "byron", Scopes: scope},
			{User: "bob", Scopes: scope},
			{User: "ada", Password: "lovelace", Scopes: scope, Issued: true},
		}
		if diff := cmp.Diff(want, tokens.Logins(), cmpopts.IgnoreFields(faultnet.Login{}, "At")); diff != "" {
			t.Errorf("logins (-want +got):\n%s", diff)
		}

		auth.Play(faultnet.Always(faultnet.StatusHTML(503, "")))
		if got := ask(ctx, hosts, "GET", "https://auth.example.com/token"); got.Kind != fault.HTML || auth.Count(faultnet.Token) != 1 {
			t.Errorf("got %v and %d requests, want a page from a token endpoint that fails", got, auth.Count(faultnet.Token))
		}
	})
}
