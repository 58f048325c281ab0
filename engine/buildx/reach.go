package buildx

import (
	"regexp"
	"strings"

	"github.com/outlast-build/outlast/engine"
)

// A witness watches a build for signs that its builder cannot connect to the
// gateway.
type witness struct{ addresses []string }

func witnessOf(routes []engine.Route) witness {
	var w witness
	for _, r := range routes {
		address, _, _ := strings.Cut(r.Prefix, "/")
		w.addresses = append(w.addresses, address)
	}
	return w
}

// noConnection is how Go's dialer says that nothing was there.
var noConnection = regexp.MustCompile(`dial tcp [^ ]*: (connect: |i/o timeout)|connect: (connection refused|no route to host|network is unreachable)`)

// convicts reports whether the build failed since its builder could not connect
// to the gateway. The gateway answers for every source behind it, and its
// answers come over a connection: what could not be made is its own.
func (w witness) convicts(r engine.Result) bool {
	if r.Failure == nil {
		return false
	}
	texts := []string{r.Failure.Message}
	for _, s := range r.Steps {
		texts = append(texts, s.Error)
	}
	for _, t := range texts {
		for _, a := range w.addresses {
			if strings.Contains(t, "//"+a+"/") && noConnection.MatchString(t) {
				return true
			}
		}
	}
	return false
}
