// Package actcache is the cache service of GitHub Actions over a local store:
// version 2 of its protocol, with the part of Azure's Blob service that its
// clients speak, and version 1. GitHub's own service may stand behind it: what
// is not here is asked for there, within a budget, and what was saved here is
// sent there behind the client's back. Whatever GitHub does, a client gets an
// entry that is whole, or is told that there is none.
//
// The protocol is that of actions/toolkit (packages/cache) and of
// tonistiigi/go-actions-cache, which BuildKit uses.
//
// The package never serves an entry to a token whose scopes do not hold it,
// never changes an entry, never hands GitHub's token to anybody but the host
// that it is for, and listens nowhere: its caller does.
package actcache
