// Package cas keeps content by digest, and names that point to it, in a
// directory that any number of processes use at once.
//
// Content enters through a spool file in the same file system and gets its
// place by one rename, after its digest was proved and its bytes are on disk;
// a process that is killed at any moment leaves nothing half-done behind.
// Content leaves only when it is proved: what was damaged on disk is set aside
// and is a miss. The store has a limit in bytes, and what was used longest ago
// goes first.
//
// The package never serves a byte that it has not hashed in this process,
// never changes a stored file in place, never removes a spool of a living
// process, and never touches the network.
//
// The layout below the store's directory:
//
//	blobs/sha256/<hex>  content; the folder is laid out as that of an OCI image layout
//	used/sha256/<hex>   an empty file whose time says when the content was last used
//	names/<hex>         a record for a name, at the SHA-256 of that name
//	spool/<random>      content on its way in, locked by its process
//	quarantine/         the last few entries that were found damaged
//	lock                held by the process that makes room
package cas
