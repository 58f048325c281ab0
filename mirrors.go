package outlast

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/gateway"
	"github.com/outlast-build/outlast/gateway/oci"
	"github.com/outlast-build/outlast/health"
	"github.com/outlast-build/outlast/internal/config"
	"github.com/outlast-build/outlast/probe"
)

// MirrorsOptions say which mirrors are looked at, and by what.
type MirrorsOptions struct {
	Settings config.Settings
	Images   []string      // in full; nil means the samples of the settings
	Resolver *net.Resolver // nil means the system's
}

// atOnce bounds how many requests are under way.
const atOnce = 48

// Mirrors asks every mirror of the settings, and the origins beside them, for
// the manifests of some images, and says of each mirror what is wrong with it.
// It asks many at once, within the budget of the settings for each lot.
func Mirrors(ctx context.Context, o MirrorsOptions) []health.Registry {
	if o.Images == nil {
		o.Images = o.Settings.Probe.Samples
	}
	s := &survey{SurveyOptions: SurveyOptions{Settings: o.Settings, Resolver: o.Resolver}, names: make(map[string]bool)}
	var reports []health.Registry
	var asks []sampling
	for _, host := range slices.Sorted(maps.Keys(o.Settings.Registries)) {
		reg := o.Settings.Registries[host]
		if len(reg.Mirrors) == 0 {
			continue
		}
		r := health.Registry{Host: host, Origin: health.Source{URL: reg.Origin, Tags: true}, Expected: make(map[string]string)}
		for _, m := range reg.Mirrors {
			r.Mirrors = append(r.Mirrors, health.Source{URL: m.URL, Tags: m.Tags})
		}
		for _, image := range o.Images {
			asks = append(asks, s.samplings(len(reports), host, image)...)
		}
		reports = append(reports, r)
	}
	online := false
	for lot := range slices.Chunk(asks, atOnce) {
		online = o.ask(ctx, lot, reports) || online
	}
	o.remember(reports)
	for i := range reports {
		r := &reports[i]
		for _, m := range r.Mirrors {
			r.Verdicts = append(r.Verdicts, health.Judge(m, r.Expected, online))
		}
	}
	return reports
}

// A sampling is a question to one source of a registry.
type sampling struct {
	report, mirror int // of the reports; mirror -1 is the origin
	image          string
	check          probe.Check
}

// samplings are the questions about an image to those who may have it.
func (s *survey) samplings(report int, registry, image string) []sampling {
	host, path, err := splitImage(image)
	if err != nil || host != registry {
		return nil
	}
	_, ups, err := s.upstreams(host)
	if err != nil {
		return nil // the settings were checked
	}
	var all []sampling
	for i := range ups {
		if _, ok := ups[i].Locate(gateway.Asset{Path: path}); !ok {
			continue
		}
		f, own, err := s.upstreams(host)
		if err != nil {
			continue
		}
		k := s.manifest(f, own[i], host, path, image, false, true)
		k.Question = probe.DigestOf{Manifest: k.Question.(probe.Manifest)}
		at := i
		if ups[i].Origin {
			at = -1
		}
		all = append(all, sampling{report, at, image, k})
	}
	return all
}

// ask asks a lot of questions and files the answers. It reports whether anybody
// answered.
func (o MirrorsOptions) ask(ctx context.Context, lot []sampling, reports []health.Registry) bool {
	checks := make([]probe.Check, len(lot))
	for i, a := range lot {
		checks[i] = a.check
	}
	card := probe.Round{Budget: o.Settings.Probe.Budget, Categories: []probe.Category{{Checks: checks}}}.Ask(ctx)
	answered := false
	for i, k := range card.Categories[0].Checks {
		sample := health.Sample{Image: lot[i].image, Took: k.Took, Kind: k.Kind, Detail: k.Detail}
		if k.Kind == fault.None {
			sample.Digest, sample.Detail = k.Detail, ""
		}
		r := &reports[lot[i].report]
		source := &r.Origin
		if lot[i].mirror >= 0 {
			source = &r.Mirrors[lot[i].mirror]
		} else if sample.Digest != "" {
			r.Expected[sample.Image] = sample.Digest
		}
		source.Samples = append(source.Samples, sample)
		answered = answered || source.Reachable()
	}
	return answered
}

// remember adds what the store knows: the last good answer for a tag, and who
// gave it. Without a store nothing is known.
func (o MirrorsOptions) remember(reports []health.Registry) {
	if _, err := os.Stat(o.Settings.Store.Path); err != nil {
		return
	}
	store, err := cas.Open(o.Settings.Store.Path, o.Settings.Store.Size)
	if err != nil {
		return
	}
	defer store.Close()
	for i := range reports {
		r := &reports[i]
		for _, image := range o.Images {
			name, err := lastGood(store, r.Host, image)
			if err != nil {
				continue
			}
			if _, known := r.Expected[image]; !known {
				r.Expected[image] = name.Digest.String()
			}
			note(r, name.Note["from"], name.At) // as gateway.Mirror notes it
		}
	}
}

// note keeps when a source was last believed.
func note(r *health.Registry, base string, at time.Time) {
	for _, s := range append([]*health.Source{&r.Origin}, pointers(r.Mirrors)...) {
		scheme, rest, _ := strings.Cut(s.URL, "://")
		host, path, _ := strings.Cut(rest, "/")
		if base == scheme+"://"+host+"/v2/"+strings.TrimPrefix(path+"/", "/") && at.After(s.LastGood) {
			s.LastGood = at
		}
	}
}

func pointers(list []health.Source) []*health.Source {
	all := make([]*health.Source, len(list))
	for i := range list {
		all[i] = &list[i]
	}
	return all
}

// lastGood returns the last good answer for a tag that a gateway kept.
func lastGood(store *cas.Store, registry, image string) (cas.Name, error) {
	host, path, err := splitImage(image)
	if err != nil || host != registry {
		return cas.Name{}, errors.New("another registry's")
	}
	r, err := http.NewRequest(http.MethodGet, "http://gateway/v2/"+oci.HostPath(host)+"/"+path, nil)
	if err != nil {
		return cas.Name{}, err
	}
	asset, err := new(oci.Protocol).Asset(r)
	if err != nil {
		return cas.Name{}, err
	}
	return store.Name(asset.Key)
}
