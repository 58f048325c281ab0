package outlast_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outlast-build/outlast"
	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/health"
	"github.com/outlast-build/outlast/internal/config"
)

// mirrored is a registry with some mirrors, and the settings that lead there.
func mirrored(t *testing.T, mirrors ...string) (*world, []string) {
	t.Helper()
	w := newWorld(t)
	content := fill(t, "r.example.com/team/app:1")
	w.settings.Registries = map[string]config.Registry{"r.example.com": {Origin: w.serve("origin", content), Insecure: true}}
	w.settings.Probe.Samples = []string{"r.example.com/team/app:1", "docker.io/library/alpine:latest"}
	var at []string
	reg := w.settings.Registries["r.example.com"]
	for _, name := range mirrors {
		backend := content
		if strings.HasPrefix(name, "other") {
			backend = fill(t, "r.example.com/team/app:1")
		}
		at = append(at, w.serve(name, backend))
		reg.Mirrors = append(reg.Mirrors, config.Mirror{URL: at[len(at)-1], Insecure: true, Tags: name == "other-trusted"})
	}
	w.settings.Registries["r.example.com"] = reg
	return w, at
}

func (w *world) mirrors() []health.Registry {
	return outlast.Mirrors(context.Background(), outlast.MirrorsOptions{Settings: w.settings, Resolver: w.dns.Resolver()})
}

func TestMirrors(t *testing.T) {
	t.Parallel()
	w, at := mirrored(t, "same", "other", "other-trusted", "page", "nowhere", "spoils", "silent")
	w.settings.Probe.Budget = 3 * time.Second
	w.play("page", faultnet.Always(faultnet.OKHTML()))
	w.play("spoils", faultnet.Always(faultnet.WrongByte()))
	w.play("silent", faultnet.Always(faultnet.Hang()))
	w.dns.Remove("nowhere.example.com")
	got := w.mirrors()
	if len(got) != 1 || len(got[0].Mirrors) != len(at) {
		t.Fatalf("got %+v", got)
	}
	advice := make(map[string]health.Advice)
	for i, m := range got[0].Mirrors {
		name, _, _ := strings.Cut(strings.TrimPrefix(m.URL, "http://"), ".")
		advice[name] = got[0].Verdicts[i].Advice
		if len(m.Samples) != 1 {
			t.Errorf("%s: got %d samples, want the one of this registry", name, len(m.Samples))
		}
	}
	want := map[string]health.Advice{"same": health.Keep, "other": health.Keep, "other-trusted": health.Distrust, "page": health.Drop,
		"nowhere": health.Drop, "spoils": health.Drop, "silent": health.Later}
	if diff := cmp.Diff(want, advice); diff != "" {
		t.Errorf("advice (-want +got):\n%s%+v", diff, got[0].Verdicts)
	}
	if !got[0].Mirrors[0].Reachable() || got[0].Verdicts[0].Same != 1 || got[0].Origin.Took() == 0 {
		t.Errorf("got %+v of the mirror that is well", got[0].Mirrors[0])
	}
}

// What a build got by the gateway is what mirrors are compared with while the
// origin is down.
func TestMirrorsBesideTheLastGoodAnswer(t *testing.T) {
	t.Parallel()
	w, at := mirrored(t, "same", "other")
	// The gateway does not ask the world's resolver.
	reg := w.settings.Registries["r.example.com"]
	reg.Origin = "http://" + w.services["origin"].Host()
	w.settings.Registries["r.example.com"] = reg
	g, err := outlast.NewGateway(t.Context(), outlast.GatewayOptions{Settings: w.settings})
	if err != nil {
		t.Fatal(err)
	}
	r, _ := http.NewRequest(http.MethodGet, "http://gateway/v2/r.example.com/team/app/manifests/1", nil)
	resp, err := (&faultnet.Transport{Backend: g}).RoundTrip(r)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("got %v, %v", resp, err)
	}
	resp.Body.Close()
	g.Close()

	w.play("origin", faultnet.Always(faultnet.Refuse()))
	got := w.mirrors()[0]
	if got.Verdicts[0].Same != 1 || got.Verdicts[1].Other != 1 {
		t.Errorf("got %+v of %v, want the first to be as before, and the second not", got.Verdicts, at)
	}
	if since := time.Since(got.Origin.LastGood); since < 0 || since > time.Minute || !got.Mirrors[0].LastGood.IsZero() {
		t.Errorf("got last good answers %v of the origin and %v of a mirror", got.Origin.LastGood, got.Mirrors[0].LastGood)
	}
}
