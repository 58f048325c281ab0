// Package buildcache looks after the folders that BuildKit's local cache
// exporter (type=local) writes: it verifies them, repairs them, trims them, and
// gives builds a view of one that holds nothing spoiled.
//
// Such a folder is an OCI image layout: an index.json that tags manifests,
// blobs by digest, and half-written ingests. A manifest names a configuration
// (media type application/vnd.buildkit.cacheconfig.v0, which maps cache keys to
// chains of layers) and all the layers. BuildKit's importer passes over a
// result with a layer that the manifest does not name (cacheimport.Parse in
// cache/remotecache/v1), but fails the build for a layer that is named and is
// spoiled or missing. So a repair takes bad layers out of the manifest, and all
// the other results stay as good as they were.
//
// Nothing here talks to a network or to BuildKit. What is done to a folder is
// done under the lock that BuildKit's exporter takes, in an order in which a
// kill at any moment leaves a folder that is at worst what it was.
package buildcache
