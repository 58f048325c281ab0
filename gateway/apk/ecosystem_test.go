package apk_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/outlast-build/outlast/gateway"
	"github.com/outlast-build/outlast/gateway/apk"
	"github.com/outlast-build/outlast/gateway/ecotest"
)

func TestEcosystem(t *testing.T) {
	listed, other := newPack(t, "listed", "1.0-r0", noise(64<<10, 1)), newPack(t, "other", "1.0-r0", noise(64<<10, 2))
	backend := files{repo + "APKINDEX.tar.gz": newIndex(t, listed), repo + listed.name: listed.body, repo + other.name: other.body}
	at := "/apk/https/" + ecotest.OriginHost + repo
	for name, s := range map[string]ecotest.Subject{
		"a package and the index":      {Fixed: at + listed.name, Moving: at + "APKINDEX.tar.gz"},
		"a package that is not listed": {Fixed: at + other.name, Once: true},
	} {
		t.Run(name, func(t *testing.T) {
			s.New = func() gateway.Ecosystem { return new(apk.Protocol) }
			s.Backend, s.Fresh = backend, time.Minute
			s.Upstreams = func(t testing.TB, _ http.RoundTripper) func(string) []gateway.Upstream {
				sites, err := gateway.NewSites([]gateway.Site{{Place: ecotest.OriginHost + "/alpine", Mirrors: []string{"https://" + ecotest.MirrorHost + "/alpine"}}})
				if err != nil {
					t.Fatal(err)
				}
				return sites.Upstreams
			}
			ecotest.Run(t, s)
		})
	}
}
