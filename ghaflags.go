package outlast

import (
	"cmp"
	"slices"
	"strings"

	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/engine/buildx"
	"github.com/outlast-build/outlast/plan"
)

// atGitHub are the attributes that lead BuildKit to GitHub: to its cache
// service, and to its REST API for a list of what is there.
var atGitHub = []string{"url", "url_v2", "token", "version", "repository", "ghtoken"}

// namesGHA reports whether the user names an Actions cache.
func (b *build) namesGHA() bool {
	for _, flag := range []string{"cache-from", "cache-to"} {
		for _, value := range b.args().All(flag) {
			entries, _ := buildx.ReadCaches(value)
			if slices.ContainsFunc(entries, func(e buildx.CacheEntry) bool { return e.Type == "gha" }) {
				return true
			}
		}
	}
	return false
}

// ownGHA is the job's cache where the user names none. The scope is what
// several images of a repository are told apart by.
func (b *build) ownGHA() buildx.CacheEntry {
	e := buildx.CacheEntry{Type: "gha", Attrs: map[string]string{"mode": "max"}}
	if tags := b.args().All("tag"); len(tags) > 0 {
		return e.With("scope", repository(tags[0]))
	}
	return e
}

// throughGHA is what stands for an Actions cache: the same by way of a service
// on this machine, since BuildKit asks that and never GitHub. What cannot go
// there is left out. One that leads nowhere, as outside of a job, buildx leaves
// out itself.
func (c *carrier) throughGHA(e buildx.CacheEntry, export bool) []buildx.CacheEntry {
	at := c.ghaAt(e)
	if !c.ghaMet() || !at.named() {
		return []buildx.CacheEntry{e}
	}
	own := c.openGHA(at)
	if own.server == nil || c.plan.Road == plan.Contexts {
		return nil // there is none, or the builder could not reach the gateway either
	}
	for _, name := range atGitHub {
		e = e.With(name, "")
	}
	url := own.address
	if export {
		url += exportPath
	}
	e = e.With("url", url+"/").With("url_v2", url+"/")
	if at != c.gha() || c.givesToken() {
		e = e.With("token", own.token)
	}
	return []buildx.CacheEntry{e}
}

// exportPath has the service fetch nothing: an exporter only asks what is there.
const exportPath = "/export"

// ghaAt is the service that a cache is at: the one that it names, or the job's.
func (b *build) ghaAt(e buildx.CacheEntry) ghaService {
	job := b.gha()
	at := ghaService{url: job.url, v2: job.v2, token: cmp.Or(e.Attrs["token"], job.token)}
	switch v1, v2, version := e.Attrs["url"], e.Attrs["url_v2"], e.Attrs["version"]; {
	case v2 != "" && version != "1":
		at.url, at.v2 = v2, true
	case v1 != "":
		at.url, at.v2 = v1, version == "2"
	}
	return at
}

// givesToken reports whether the user hands the job's token to the build: then
// it has to stay what it is in the environment.
func (b *build) givesToken() bool {
	return slices.ContainsFunc([]string{"secret", "build-arg"}, func(flag string) bool {
		return slices.ContainsFunc(b.args().All(flag), func(v string) bool { return strings.Contains(v, runtimeTokenEnv) })
	})
}

// hideToken gives buildx the token of the service on this machine in the place
// of the job's own, where everybody but this user cannot see it.
func (b *build) hideToken(req *engine.Request) {
	c := b.ghaCaches.all[b.gha()]
	if c == nil || c.server == nil || b.givesToken() {
		return
	}
	req.Env = append(slices.Clone(b.environ()), runtimeTokenEnv+"="+c.token)
}
