package outlast

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/docker/go-units"

	"github.com/outlast-build/outlast/buildcache"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/fetch"
	"github.com/outlast-build/outlast/gateway/oci"
)

// sendCaches sends what was exported to where it belongs, within the time of
// the settings. The image is finished: nothing of this fails the build, and
// what could not be done costs a line.
func (b *build) sendCaches(ctx context.Context, boxes []*box) {
	if len(boxes) == 0 {
		return
	}
	defer b.clearStages(time.Now())
	if b.Offline {
		b.note("the caches are not sent to registries: this build is offline")
		return
	}
	limit := b.Settings.Cache.Send
	ctx, cancel := context.WithTimeoutCause(ctx, limit, &fault.Error{Op: "send", Kind: fault.Timeout,
		Err: fmt.Errorf("not done within %s, the limit of cache.send; the next build goes on from there", limit)})
	defer cancel()
	sender := b.sender()
	for _, x := range boxes {
		for _, ref := range x.send {
			b.sendCache(ctx, sender, x, ref)
		}
	}
}

// sendCache sends one export to one reference.
func (b *build) sendCache(ctx context.Context, s *oci.Sender, x *box, ref string) {
	content, err := buildcache.ContentOf(x.dir, buildcache.DefaultTag)
	if err != nil {
		b.note(fmt.Sprintf("the image was made; its cache is not sent to %s: %v", ref, err))
		return
	}
	b.tell("the image was made; its cache is sent to " + ref)
	began := time.Now()
	got, err := s.Send(ctx, oci.Parcel{Ref: ref, Type: content.Type, Manifest: content.Manifest, Blobs: content.Blobs,
		Open: content.Open, From: b.beside(ref)})
	took := time.Since(began)
	u := written(err)
	u.Sent, u.Took = got.Bytes, took
	b.worth("registry", ref, u)
	if err != nil {
		b.note(fmt.Sprintf("the image was made; its cache was not sent to %s: %v", ref, err))
		return
	}
	if b.Debug {
		b.tell(fmt.Sprintf("the cache was sent to %s in %s: %d blobs of %s, and %d that it had", ref, took.Round(time.Millisecond),
			got.Blobs, units.BytesSize(float64(got.Bytes)), got.There))
	}
}

// sending is how long a registry may take for an answer to what it was sent. It
// is an outer bound: the sender has closer ones.
const sending = 90 * time.Second

func (b *build) sender() *oci.Sender {
	f := &fetch.Fetcher{Limits: fetch.Limits{Dial: b.Settings.Fetch.Dial, Header: sending, Idle: sending}}
	// A registry that is asked to write does more than one that reads.
	return &oci.Sender{Registries: b.mirror.Registries, Base: f.Transport(), Answer: 2 * b.Settings.Fetch.Header}
}

// beside are the repositories of a reference's registry that may have layers of
// a build's cache already: those of the image itself, and of what it is made
// from.
func (b *build) beside(ref string) []string {
	host := registryOf(ref)
	var repos []string
	refs := slices.Clone(b.args().All("tag"))
	for _, n := range b.recipe.needs {
		if n.Registry() {
			refs = append(refs, n.Ref)
		}
	}
	for _, other := range refs {
		full, ok := inFull(other)
		at, rest, _ := strings.Cut(repository(full), "/")
		if ok && at == host && rest != repository(strings.TrimPrefix(ref, host+"/")) && !slices.Contains(repos, rest) {
			repos = append(repos, rest)
		}
	}
	return repos
}
