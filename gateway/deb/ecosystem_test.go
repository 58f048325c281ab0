package deb_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/outlast-build/outlast/gateway"
	"github.com/outlast-build/outlast/gateway/deb"
	"github.com/outlast-build/outlast/gateway/ecotest"
)

func TestEcosystem(t *testing.T) {
	contents := noise(64<<10, 1)
	unlisted := debFile(t, noise(64<<10, 2))
	a := new(archive)
	a.publish(1, map[string][]byte{"main/Contents-amd64.gz": contents, "Packages.gz": gz(packages(nil))}, map[string][]byte{"pool/x/x_1_amd64.deb": unlisted})
	for name, s := range map[string]ecotest.Subject{
		"an index by its digest":         {Fixed: fmt.Sprintf("/deb/http/%s/debian/dists/stable/main/by-hash/SHA256/%x", ecotest.OriginHost, sha256.Sum256(contents))},
		"a package that no index lists":  {Fixed: "/deb/http/" + ecotest.OriginHost + "/debian/pool/x/x_1_amd64.deb", Once: true},
		"a release":                      {Moving: "/deb/http/" + ecotest.OriginHost + "/debian/dists/stable/InRelease"},
		"a release, as a proxy is asked": {Moving: "http://" + ecotest.OriginHost + "/debian/dists/stable/InRelease"},
		"a release, over TLS":            {Moving: "/deb/https/" + ecotest.OriginHost + "/debian/dists/stable/InRelease"},
	} {
		t.Run(name, func(t *testing.T) {
			s.New = func() gateway.Ecosystem { return new(deb.Protocol) }
			s.Backend, s.Fresh = a, time.Minute
			s.Upstreams = func(t testing.TB, _ http.RoundTripper) func(string) []gateway.Upstream {
				sites, err := gateway.NewSites([]gateway.Site{{Place: ecotest.OriginHost + "/debian", Mirrors: []string{"http://" + ecotest.MirrorHost + "/debian/"}}})
				if err != nil {
					t.Fatal(err)
				}
				return sites.Upstreams
			}
			ecotest.Run(t, s)
		})
	}
}
