package probe_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/fetch"
	"github.com/outlast-build/outlast/internal/testenv"
	"github.com/outlast-build/outlast/probe"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// says answers every request alike.
func says(status int, media, body string, head ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", media)
		for i := 0; i+1 < len(head); i += 2 {
			w.Header().Set(head[i], head[i+1])
		}
		w.WriteHeader(status)
		w.Write([]byte(body))
	})
}

const (
	jsonType = "application/json"
	page     = "<h2>Our services aren't available right now</h2>"
	index    = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`
)

func digestOf(s string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(s))) }

func upstream(backend http.Handler, script faultnet.Script, at string) probe.Upstream {
	return probe.Upstream{Fetcher: &fetch.Fetcher{Base: &faultnet.Transport{Backend: backend, Script: script}},
		Source: fetch.Source{Endpoint: "service.example.com", URL: "https://service.example.com" + at}}
}

// A row is what a service does, and what the check of it comes to.
type row struct {
	name    string
	backend http.Handler
	script  faultnet.Script
	want    fault.Kind
	no      bool // the service is well and says no
}

func run(t *testing.T, rows []row, question func(probe.Upstream) probe.Question, at string) {
	for _, tt := range rows {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				seen, err := question(upstream(tt.backend, tt.script, at)).Ask(ctx)
				got := fault.Of(err)
				if ctx.Err() != nil {
					got = fault.Timeout // as the round says
				}
				if got != tt.want {
					t.Errorf("got %q, %v, want %q", got, err, tt.want)
				}
				var no *probe.No
				if errors.As(err, &no) != tt.no {
					t.Errorf("got %v, want a no: %v", err, tt.no)
				}
				if err == nil && seen == "" {
					t.Error("nothing is said of what was seen")
				}
			})
		})
	}
}

// dead are the failures that every service over HTTP can have.
func dead(well http.Handler) []row {
	return []row{
		{"refuses connections", well, faultnet.Always(faultnet.Refuse()), fault.Connection, false},
		{"is silent", well, faultnet.Always(faultnet.Hang()), fault.Timeout, false},
		{"resets", well, faultnet.Always(faultnet.Reset()), fault.Connection, false},
		{"breaks off", well, faultnet.Always(faultnet.CutAfter(5)), fault.Truncated, false},
		{"drips", well, faultnet.Always(faultnet.Drip(1)), fault.Timeout, false},
		{"is down", well, faultnet.Always(faultnet.Status(503)), fault.Outage, false},
		{"limits the rate", well, faultnet.Always(faultnet.TooMany(time.Second)), fault.RateLimited, false},
		{"answers 200 with a page", well, faultnet.Always(faultnet.OKHTML()), fault.HTML, false},
		{"answers 200 with a page that it calls JSON", well, faultnet.Always(faultnet.OKHTMLAs(jsonType)), fault.HTML, false},
		{"answers 400 with a page", well, faultnet.Always(faultnet.StatusHTML(400, faultnet.OutagePage)), fault.HTML, false},
		{"answers 404 with a page", well, faultnet.Always(faultnet.StatusHTML(404, faultnet.OutagePage)), fault.HTML, false},
	}
}

func TestManifest(t *testing.T) {
	well := says(200, "application/vnd.oci.image.index.v1+json", index, "Docker-Content-Digest", digestOf(index))
	refusal := `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}`
	rows := append(dead(well), []row{
		{"is well", well, nil, fault.None, false},
		{"names no digest", says(200, jsonType, index), nil, fault.None, false},
		{"sends a wrong byte", well, faultnet.Always(faultnet.WrongByte()), fault.Corrupt, false},
		{"names the digest of something else", says(200, jsonType, index, "Docker-Content-Digest", digestOf("x")), nil, fault.Corrupt, false},
		{"names a digest that is none", says(200, jsonType, index, "Docker-Content-Digest", "sha256:x"), nil, fault.Rejected, false},
		{"sends JSON that is no manifest", says(200, jsonType, `{"ok":true}`), nil, fault.Rejected, false},
		{"sends nothing", says(200, jsonType, ""), nil, fault.Rejected, false},
		{"sends no end", says(200, jsonType, strings.Repeat("x", 5<<20)), nil, fault.TooLarge, false},
		{"redirects to itself for ever", says(307, jsonType, "", "Location", "/v2/team/app/manifests/1"), nil, fault.Connection, false},
	}...)
	private := append(rows[:len(rows):len(rows)], []row{
		{"does not know the image", says(404, jsonType, refusal), nil, fault.NotFound, true},
		{"refuses access", says(403, jsonType, `{"errors":[{"code":"DENIED"}]}`), nil, fault.Auth, true},
		{"is gone, and a server says 404", says(404, "text/plain", "default backend - 404"), nil, fault.NotFound, false},
		{"is gone, and something says 404 in JSON", says(404, jsonType, `{"message":"no Route matched"}`), nil, fault.NotFound, false},
	}...)
	t.Run("an image of the build", func(t *testing.T) {
		run(t, private, func(u probe.Upstream) probe.Question { return probe.Manifest{Upstream: u, Ref: "team/app:1"} }, "/v2/team/app/manifests/1")
	})
	public := append(rows, row{"does not know what all know", says(404, jsonType, refusal), nil, fault.NotFound, false})
	t.Run("an image for everybody", func(t *testing.T) {
		run(t, public, func(u probe.Upstream) probe.Question {
			return probe.Manifest{Upstream: u, Ref: "team/app:1", Public: true}
		}, "/v2/team/app/manifests/1")
	})
	t.Run("by digest", func(t *testing.T) {
		run(t, []row{
			{"is well", says(200, jsonType, index), nil, fault.None, false},
			{"sends something else, and names that", says(200, jsonType, `{}`, "Docker-Content-Digest", digestOf(`{}`)), nil, fault.Corrupt, false},
		}, func(u probe.Upstream) probe.Question {
			return probe.Manifest{Upstream: u, Ref: "team/app@…", Digest: digest.Digest(digestOf(index))}
		}, "/v2/team/app/manifests/"+digestOf(index))
	})
}

func TestModule(t *testing.T) {
	info := says(200, jsonType, `{"Version":"v1.2.3"}`)
	run(t, append(dead(info), []row{
		{"is well", info, nil, fault.None, false},
		{"sends other JSON", says(200, jsonType, `{"ok":true}`), nil, fault.Rejected, false},
		{"does not have it", says(404, "text/plain", "not found"), nil, fault.NotFound, false},
	}...), func(u probe.Upstream) probe.Question {
		return probe.Module{Upstream: u, Path: "example.com/A", Version: "v1.2.3"}
	}, "")
	list := says(200, "text/plain", "v1.0.0\nv1.1.0-rc.1\n")
	run(t, append(dead(list), []row{
		{"has a list", list, nil, fault.None, false},
		{"has an empty list", says(200, "text/plain", "\n"), nil, fault.Rejected, false},
		{"has another text", says(200, "text/plain", "try later\n"), nil, fault.Rejected, false},
	}...), func(u probe.Upstream) probe.Question { return probe.Module{Upstream: u, Path: "example.com/a"} }, "/go/")
}

func TestModuleAsksAsTheGoCommandDoes(t *testing.T) {
	var asked string
	u := upstream(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Path
		fmt.Fprint(w, `{"Version":"v1.2.3"}`)
	}), nil, "/go/")
	if _, err := (probe.Module{Upstream: u, Path: "example.com/Big", Version: "v1.2.3"}).Ask(t.Context()); err != nil || asked != "/go/example.com/!big/@v/v1.2.3.info" {
		t.Errorf("got %v of %s", err, asked)
	}
}

func TestActions(t *testing.T) {
	for _, v2 := range []bool{true, false} {
		rows := []row{
			{"v2 has no such entry", says(200, jsonType, `{"ok":false,"signed_download_url":""}`), nil, fault.None, false},
			{"v2 says not found", says(404, jsonType, `{"code":"not_found","msg":"no"}`), nil, fault.None, false},
			{"has no such route", says(404, jsonType, `{"code":"bad_route"}`), nil, fault.Rejected, false},
			{"answers 200 with other JSON", says(200, jsonType, `{}`), nil, fault.Rejected, false},
		}
		if !v2 {
			rows = []row{
				{"v1 has no such entry", says(204, "", ""), nil, fault.None, false},
				{"v1 has one", says(200, jsonType, `{"cacheKey":"k"}`), nil, fault.None, false},
				{"answers 200 with nothing", says(200, jsonType, `{}`), nil, fault.Rejected, false},
				{"answers 404", says(404, "", ""), nil, fault.Rejected, false},
			}
		}
		rows = append(append(rows, dead(says(200, jsonType, `{"ok":false,"cacheKey":"k"}`))...),
			row{"refuses the token", says(401, jsonType, `{"code":"unauthenticated"}`), nil, fault.Auth, false},
			row{"answers as the outage did", says(400, "text/html", page), nil, fault.HTML, false},
			row{"leads elsewhere", says(302, "", "", "Location", "https://elsewhere.example.com/"), nil, fault.Rejected, false})
		run(t, rows, func(u probe.Upstream) probe.Question {
			return probe.Actions{URL: u.Source.URL, V2: v2, Transport: u.Fetcher.Transport()}
		}, "/")
	}
}

func TestWeb(t *testing.T) {
	well := says(200, "text/plain", "Origin: Debian\n")
	run(t, append(dead(well), []row{
		{"has the file", well, nil, fault.None, false},
		{"has a large file", says(200, "application/octet-stream", strings.Repeat("x", 5<<20)), nil, fault.None, false},
	}...), func(u probe.Upstream) probe.Question { return probe.Web{Upstream: u} }, "/InRelease")

	pkg := says(200, jsonType, `{"name":"once","versions":{"1.0.0":{}}}`)
	run(t, append(dead(pkg), []row{
		{"has the package", pkg, nil, fault.None, false},
		{"has something else", says(200, jsonType, `{"name":"once"}`), nil, fault.Rejected, false},
	}...), func(u probe.Upstream) probe.Question { return probe.Web{Upstream: u, Want: probe.NPMPackage} }, "/once")

	links := `<!DOCTYPE html><html><body><a href="six-1.whl#sha256=00">six-1.whl</a></body></html>`
	// Where a page may be the answer, a refusal as a page is any refusal.
	all := dead(says(200, jsonType, `{"files":[{}]}`))
	run(t, append(all[:len(all)-2], []row{
		{"has an index in JSON", says(200, jsonType, `{"files":[{}]}`), nil, fault.None, false},
		{"has an index for people", says(200, "text/html", links), nil, fault.None, false},
		{"is out, and says so for people", says(200, "text/html", page), nil, fault.HTML, false},
		{"has something else", says(200, "text/plain", "hello"), nil, fault.Rejected, false},
	}...), func(u probe.Upstream) probe.Question { return probe.Web{Upstream: u, Want: probe.PythonIndex} }, "/simple/six/")

	run(t, []row{
		{"has a page", says(200, "text/html", page), nil, fault.None, false},
		{"has a large file", says(200, "application/octet-stream", strings.Repeat("x", 5<<20)), nil, fault.None, false},
		{"is out", well, faultnet.Always(faultnet.Status(503)), fault.Outage, false},
	}, func(u probe.Upstream) probe.Question { return probe.Web{Upstream: u, Want: probe.Page} }, "/install.sh")
}

func TestName(t *testing.T) {
	dns := &faultnet.DNS{Names: map[string][]netip.Addr{"well.example.com": {netip.MustParseAddr("192.0.2.1")}}}
	if err := dns.Start(); err != nil {
		t.Fatal(err)
	}
	defer dns.Close()
	for _, tt := range []struct {
		name, host string
		fault      faultnet.DNSFault
		want       fault.Kind
	}{
		{"resolves", "well.example.com", faultnet.DNSFault{}, fault.None},
		{"does not exist", "other.example.com", faultnet.DNSFault{}, fault.DNS},
		{"the resolver cannot say", "well.example.com", faultnet.SERVFAIL(), fault.DNS},
		{"the resolver is silent", "well.example.com", faultnet.DNSSilence(), fault.Timeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dns.Play(faultnet.DNSScript{{Name: tt.host, Fault: tt.fault}})
			k := probe.Round{Budget: 300 * time.Millisecond, Categories: []probe.Category{{Checks: []probe.Check{
				{Question: probe.Name{Host: tt.host, Resolver: dns.Resolver()}}}}}}.Ask(t.Context()).Categories[0].Checks[0]
			if k.Kind != tt.want || strings.Contains(k.Detail, "127.0.0.1") {
				t.Errorf("got %q, %s, want %q", k.Kind, k.Detail, tt.want)
			}
		})
	}
}

func TestReach(t *testing.T) {
	dial := func(d time.Duration, err error) func(context.Context, string, string) (net.Conn, error) {
		return func(ctx context.Context, _, _ string) (net.Conn, error) {
			select {
			case <-time.After(d):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			if err != nil {
				return nil, err
			}
			c, _ := net.Pipe()
			return c, nil
		}
	}
	opens, refuses, hangs := dial(time.Millisecond, nil), dial(0, &net.OpError{Op: "dial", Err: errors.New("refused")}), dial(time.Hour, nil)
	web := func(status int) probe.Place {
		return probe.Place{Address: "https://a.example.com", Client: &faultnet.Transport{Backend: says(status, "text/html", page)}}
	}
	for _, tt := range []struct {
		name   string
		places []probe.Place
		want   fault.Kind
	}{
		{"one opens", []probe.Place{{Address: "a:1", Dial: refuses}, {Address: "b:1", Dial: opens}, {Address: "c:1", Dial: hangs}}, fault.None},
		{"none opens", []probe.Place{{Address: "a:1", Dial: refuses}, {Address: "b:1", Dial: refuses}}, fault.Connection},
		{"one hangs, the other refuses", []probe.Place{{Address: "a:1", Dial: hangs}, {Address: "b:1", Dial: refuses}}, fault.Timeout},
		{"any page will do", []probe.Place{web(404)}, fault.None},
		{"one panics", []probe.Place{{Address: "a:1"}}, fault.Unknown},
		{"there is none", nil, fault.Config},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := probe.Round{Categories: []probe.Category{{Checks: []probe.Check{{Question: probe.Reach{Places: tt.places}}}}}}.Ask(t.Context()).Categories[0].Checks[0]
				if k.Kind != tt.want || k.OK != (tt.want == fault.None) {
					t.Errorf("got %+v, want %q", k, tt.want)
				}
			})
		})
	}
}
