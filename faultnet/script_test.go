package faultnet_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/faultnet"
)

const (
	tagPath      = "/v2/library/app/manifests/latest"
	manifestPath = "/v2/library/app/manifests/sha256:aa"
	configPath   = "/v2/library/app/blobs/sha256:cc"
	layerPath    = "/v2/library/app/blobs/sha256:bb"
)

// registry answers manifests that name the configuration sha256:cc.
func registry(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == tagPath || r.URL.Path == manifestPath {
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		io.WriteString(w, `{"schemaVersion":2,"config":{"digest":"sha256:cc"},"layers":[{"digest":"sha256:bb"}]}`)
		return
	}
	backend(w, r)
}

func TestWhichRequestsARowStrikes(t *testing.T) {
	hit := faultnet.Status(503)
	for _, tt := range []struct {
		name   string
		script faultnet.Script
		asks   []string // "METHOD path"
		want   []int    // statuses
	}{
		{"an empty script strikes none", nil, []string{"GET /v2/"}, []int{200}},
		{"a bare row strikes all", faultnet.Always(hit), []string{"GET /v2/", "HEAD " + tagPath, "POST /x"}, []int{503, 503, 503}},
		{"one place", faultnet.At(faultnet.Tag, hit), []string{"GET /v2/", "GET " + tagPath, "GET " + manifestPath, "GET " + layerPath}, []int{200, 503, 200, 200}},
		{"one method", faultnet.Script{{Method: "GET", Fault: hit}}, []string{"HEAD " + tagPath, "GET " + tagPath}, []int{200, 503}},
		{"one path", faultnet.Script{{Path: regexp.MustCompile(`^/v2/library/`), Fault: hit}}, []string{"GET /v2/", "GET " + tagPath}, []int{200, 503}},
		{"by a predicate", faultnet.Script{{If: func(r *http.Request) bool { return r.URL.Query().Get("ns") == "docker.io" }, Fault: hit}},
			[]string{"GET /v2/?ns=docker.io", "GET /v2/"}, []int{503, 200}},
		{"the first two", faultnet.Script{{On: faultnet.First(2), Fault: hit}}, []string{"GET /a", "GET /b", "GET /c"}, []int{503, 503, 200}},
		{"the first none", faultnet.Script{{On: faultnet.First(0), Fault: hit}}, []string{"GET /a", "GET /b"}, []int{200, 200}},
		{"the second", faultnet.Script{{On: faultnet.Nth(2), Fault: hit}}, []string{"GET /a", "GET /b", "GET /c"}, []int{200, 503, 200}},
		{"from the second on", faultnet.Script{{On: faultnet.From(2), Fault: hit}}, []string{"GET /a", "GET /b", "GET /c"}, []int{200, 503, 503}},
		{"a row counts only what it selects", faultnet.Script{{Place: faultnet.Blob, On: faultnet.Nth(2), Fault: hit}},
			[]string{"GET /a", "GET " + layerPath, "GET /b", "GET " + layerPath}, []int{200, 200, 200, 503}},
		{"a row counts what a row above it takes", faultnet.Script{{On: faultnet.Nth(1), Fault: faultnet.Status(500)}, {On: faultnet.Nth(2), Fault: hit}},
			[]string{"GET /a", "GET /b", "GET /c"}, []int{500, 503, 200}},
		{"the first row decides", faultnet.Script{{Place: faultnet.Ping}, {Fault: hit}}, []string{"GET /v2/", "GET /a"}, []int{200, 503}},
		{"a configuration is known after its manifest", faultnet.At(faultnet.Config, hit),
			[]string{"GET " + configPath, "GET " + tagPath, "GET " + configPath, "GET " + layerPath}, []int{200, 200, 503, 200}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := &faultnet.Transport{Backend: http.HandlerFunc(registry), Script: tt.script}
				var got []int
				for _, a := range tt.asks {
					var method, path string
					fmt.Sscan(a, &method, &path)
					got = append(got, ask(t.Context(), tr, method, "http://registry.example.com"+path).Status)
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("got %v, want %v", got, tt.want)
				}
			})
		})
	}
}

func TestPlaces(t *testing.T) {
	configs := new(faultnet.Configs)
	configs.Add("sha256:cc")
	for url, want := range map[string]faultnet.Place{
		"/v2":                                 faultnet.Ping,
		"/v2/":                                faultnet.Ping,
		"/v2/?ns=docker.io":                   faultnet.Ping,
		"/token?service=r&scope=repository:a": faultnet.Token,
		"/auth?scope=repository:a:pull":       faultnet.Token,
		"/v2/token":                           faultnet.Token,
		tagPath:                               faultnet.Tag,
		manifestPath + "?ns=docker.io":        faultnet.Manifest,
		configPath:                            faultnet.Config,
		layerPath:                             faultnet.Blob,
		"/v2/a/blobs/uploads/":                faultnet.Other,
		"/v2/a/blobs/uploads":                 faultnet.Other,
		"/v2/a/tags/list":                     faultnet.Other,
		"/v2/manifests/blobs/manifests/v1":    faultnet.Tag,
		"/":                                   faultnet.Other,
	} {
		req, _ := http.NewRequest("GET", "http://registry.example.com"+url, nil)
		if got := faultnet.PlaceOf(req, configs); got != want {
			t.Errorf("%s: got %q, want %q", url, got, want)
		}
	}
}

func TestTheLogSaysWhatWasAskedAndDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &faultnet.Transport{Backend: http.HandlerFunc(backend), Script: faultnet.At(faultnet.Blob, faultnet.CutAfter(400))}
		req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://registry.example.com"+layerPath+"?ns=docker.io", nil)
		req.Header.Set("Range", "bytes=100-")
		req.Header.Set("Authorization", "Bearer secret")
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		ask(t.Context(), tr, "HEAD", "http://registry.example.com/v2/")
		synctest.Wait()

		want := faultnet.Log{
			{Method: "GET", Host: "registry.example.com", Path: layerPath, Query: "ns=docker.io", Place: faultnet.Blob,
				Fault: faultnet.CutAfter(400), Status: 206, Sent: 400, Done: true},
			{Method: "HEAD", Host: "registry.example.com", Path: "/v2/", Place: faultnet.Ping, Status: 200, Done: true},
		}
		log := tr.Log()
		if diff := cmp.Diff(want, log, cmpopts.IgnoreFields(faultnet.Request{}, "At", "Took", "Header")); diff != "" {
			t.Fatalf("log (-want +got):\n%s", diff)
		}
		if got, want := log[0].Range()+" "+log[0].Authorization(), "bytes=100- Bearer secret"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if got, want := log[0].String(), "GET "+layerPath+"?ns=docker.io bytes=100- -> 206 400 B (cut after 400 B)"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if got, want := log.Sent(), int64(400); got != want {
			t.Errorf("got %d bytes sent, want %d", got, want)
		}
		if got := []int{tr.Count(), tr.Count(faultnet.Blob), tr.Count(faultnet.Blob, faultnet.Ping), tr.Count(faultnet.Tag), len(log.At(faultnet.Ping))}; !slices.Equal(got, []int{2, 1, 2, 0, 1}) {
			t.Errorf("got counts %v", got)
		}
	})
}

func TestANewScriptBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		script := faultnet.Script{{On: faultnet.First(1), Fault: faultnet.Status(503)}}
		tr := &faultnet.Transport{Backend: http.HandlerFunc(backend), Script: script}
		var got []int
		for range 2 {
			for range 2 {
				got = append(got, ask(t.Context(), tr, "GET", "http://registry.example.com/x").Status)
			}
			got = append(got, tr.Count(), len(tr.Log()))
			tr.Play(script)
		}
		if want := []int{503, 200, 2, 2, 503, 200, 2, 2}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if tr.Count() != 0 {
			t.Errorf("got %d requests of a script that has just begun", tr.Count())
		}
	})
}

func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &faultnet.Transport{Script: faultnet.Always(faultnet.Hang())}
		ctx, cancel := context.WithCancel(t.Context())
		go ask(ctx, tr, "GET", "http://registry.example.com"+tagPath)
		go ask(ctx, tr, "GET", "http://registry.example.com"+tagPath)
		if err := tr.Await(t.Context(), 2, faultnet.Tag); err != nil {
			t.Error(err)
		}
		cancel()
		if err := tr.Await(ctx, 3); fault.Of(err) != fault.Canceled {
			t.Errorf("got %v, want that it was cancelled", err)
		}
		synctest.Wait()
	})
}

func TestWrongBytes(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault faultnet.Fault
		rng   string
		wrong []int // offsets in the answer
	}{
		{"the middle of the whole", faultnet.WrongByte(), "", []int{500}},
		{"the middle of a range", faultnet.WrongByte(), "bytes=100-199", []int{50}},
		{"at an offset", faultnet.WrongByteAt(150), "", []int{150}},
		{"at an offset in a range", faultnet.WrongByteAt(150), "bytes=100-199", []int{50}},
		{"at an offset before the range", faultnet.WrongByteAt(99), "bytes=100-199", nil},
		{"at an offset behind the range", faultnet.WrongByteAt(200), "bytes=100-199", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := &faultnet.Transport{Backend: http.HandlerFunc(backend), Script: faultnet.Always(tt.fault)}
				req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://registry.example.com/x", nil)
				whole := content
				if tt.rng != "" {
					req.Header.Set("Range", tt.rng)
					whole = content[100:200]
				}
				resp, err := tr.RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				if err != nil || len(body) != len(whole) {
					t.Fatalf("got %d bytes and error %v, want %d bytes", len(body), err, len(whole))
				}
				var wrong []int
				for i := range body {
					if body[i] != whole[i] {
						wrong = append(wrong, i)
					}
				}
				if !slices.Equal(wrong, tt.wrong) {
					t.Errorf("got wrong bytes at %v, want at %v", wrong, tt.wrong)
				}
			})
		})
	}
}

func TestACutDoesNotWaitForASlowBackend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &faultnet.Transport{Script: faultnet.Always(faultnet.CutAfter(400)), Backend: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			w.Write(content[:400])
			time.Sleep(time.Hour)
			w.Write(content[400:])
		})}
		begun := time.Now()
		if got, want := ask(t.Context(), tr, "GET", "http://registry.example.com/x"), (seen{fault.Truncated, 200, 400, true}); got != want {
			t.Errorf("got %v, want %v", got, want)
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("got the cut after %v, want it at once", took)
		}
		time.Sleep(2 * time.Hour)
	})
}

func TestNoRangeSendsTheWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &faultnet.Transport{Backend: http.HandlerFunc(backend), Script: faultnet.Always(faultnet.NoRange())}
		req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://registry.example.com/x", nil)
		req.Header.Set("Range", "bytes=100-199")
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != 200 || !bytes.Equal(body, content) || resp.Header.Get("Accept-Ranges") != "" {
			t.Errorf("got %d, %d bytes, ranges %q; want 200, all of the content, no ranges", resp.StatusCode, len(body), resp.Header.Get("Accept-Ranges"))
		}
		if got := tr.Log()[0].Range(); got != "bytes=100-199" {
			t.Errorf("got range %q in the log, want what was asked", got)
		}
	})
}

func TestWrongLengthOfAnAnswerWithoutOne(t *testing.T) {
	for difference, want := range map[int64]seen{
		5:  {fault.Truncated, 200, 1000, true},
		-5: {"", 200, 995, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			tr := &faultnet.Transport{Script: faultnet.Always(faultnet.WrongLength(difference)), Backend: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for p := range slices.Chunk(content, 10) {
					w.Write(p)
					http.NewResponseController(w).Flush()
				}
			})}
			if got := ask(t.Context(), tr, "GET", "http://registry.example.com/x"); got != want {
				t.Errorf("%+d: got %v, want %v", difference, got, want)
			}
		})
	}
}

func TestHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts := faultnet.Hosts{
			"a.example.com":      &faultnet.Transport{Backend: http.HandlerFunc(backend)},
			"b.example.com:5000": &faultnet.Transport{Script: faultnet.Always(faultnet.Status(503))},
		}
		for url, want := range map[string]seen{
			"https://a.example.com/x":     {"", 200, 1000, true},
			"http://a.example.com:81/x":   {"", 200, 1000, true},
			"http://b.example.com:5000/x": {fault.Outage, 503, 67, false},
			"http://b.example.com/x":      {Kind: fault.DNS},
			"http://c.example.com/x":      {Kind: fault.DNS},
		} {
			if got := ask(t.Context(), hosts, "GET", url); got != want {
				t.Errorf("%s: got %v, want %v", url, got, want)
			}
		}
	})
}

func TestScriptsReadWell(t *testing.T) {
	for _, tt := range []struct {
		script faultnet.Script
		want   string
	}{
		{nil, "healthy"},
		{faultnet.Always(faultnet.Hang()), "everything, always: hang"},
		{faultnet.Script{{Place: faultnet.Blob, On: faultnet.Nth(3), Fault: faultnet.CutAfter(4e5)}}, "blob, request 3: cut after 400 kB"},
		{faultnet.Script{{Method: "GET", Place: faultnet.Tag, On: faultnet.First(1), Fault: faultnet.OKHTML()}, {On: faultnet.From(2), Fault: faultnet.Reset()}},
			"GET tag, first 1: 200 HTML; everything, from request 2: reset"},
	} {
		if got := tt.script.String(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
