package trial

import (
	"strings"

	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/internal/testenv/cloud"
)

// Names that do not resolve, where a Bench has an isolated network.
const (
	NoName     = "nowhere.example.com"
	IllName    = "ill.example.com"
	SilentName = "silent.example.com"
)

// A network is the cloud of one row.
type network struct {
	*cloud.Cloud
	site *cloud.Site
}

// build makes the network of r beside base.
func (r Row) build(base *cloud.Cloud) (*network, error) {
	n := &network{Cloud: base.Beside()}
	well, ill := cloud.PlaceOptions{Tags: true}, r.options()
	origin, mirrors := well, []cloud.PlaceOptions{well, well}
	switch r.Where {
	case Mirror:
		mirrors[0] = ill
	case Origin:
		origin = ill
	case Both:
		origin, mirrors[0] = ill, ill
	case Alone:
		origin, mirrors = ill, nil
	}
	var err error
	if n.site, err = n.Site("", origin, mirrors...); err != nil {
		n.Close()
		return nil, err
	}
	for _, p := range n.ill(r.Where) {
		if err := r.play(p); err != nil {
			n.Close()
			return nil, err
		}
	}
	return n, nil
}

func (n *network) ill(w Where) []*cloud.Place {
	switch w {
	case Mirror:
		return n.site.Mirrors[:1]
	case Both:
		return []*cloud.Place{n.site.Mirrors[0], n.site.Origin}
	}
	return []*cloud.Place{n.site.Origin}
}

// options set up a place that fails.
func (r Row) options() cloud.PlaceOptions {
	o := cloud.PlaceOptions{Tags: true}
	f := r.failure
	switch {
	case r.Place != faultnet.Token:
		o.Name, o.HTTPS = f.host, f.https
	case f.host != "":
		o.Guarded, o.Realm = true, "https://"+f.host+"/token"
	case f.https:
		o.Guarded, o.Realm = true, "https://"
	default:
		o.Guarded = true
	}
	return o
}

// play makes p fail.
func (r Row) play(p *cloud.Place) error {
	f := r.failure
	if f.fault == nil {
		return nil
	}
	row := faultnet.Row{Method: f.method, Place: r.Place, On: f.on, Fault: f.fault(sizesAt[r.Place])}
	if r.Place != faultnet.Token {
		return p.Registry.Play(faultnet.Script{row})
	}
	row.Place = "" // the service does nothing else
	return p.Tokens.Play(faultnet.Script{row})
}

// names puts the parts of the network in the place of their addresses, which
// are others each time.
func (n *network) names() *strings.Replacer {
	var pairs []string
	add := func(p *cloud.Place, name string) {
		pairs = append(pairs, p.Host()+"/library/", name+"/library/", p.Host(), name)
		if p.Tokens != nil {
			pairs = append(pairs, p.Tokens.Host(), name+"-tokens")
		}
	}
	add(n.site.Origin, "origin")
	for i, m := range n.site.Mirrors {
		add(m, []string{"mirror-1", "mirror-2"}[i])
	}
	return strings.NewReplacer(pairs...)
}

// reference is the image that the row's build is made from.
func (n *network) reference() string { return n.site.Host() + "/library/alpine:3" }
