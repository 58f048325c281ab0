package actcache

import "time"

// Bounds on what clients may ask for. Those that GitHub has are GitHub's: keys
// of 512 bytes, ten of them in a look-up.
const (
	maxKey     = 512
	maxKeys    = 16
	maxVersion = 512
	maxScope   = 1 << 10
	maxScopes  = 16
	maxToken   = 32 << 10
	maxMessage = 64 << 10 // of an API's request, and of its answer

	// Azure's: 50,000 blocks, with names of up to 64 bytes, of one length.
	maxBlocks    = 50_000
	maxBlockName = 128       // as it is written
	maxBlockList = 16 << 20  // 50,000 names in XML
	maxUploads   = 256       // that are open at the same time
	maxEntry     = 10 << 30  // unless the store holds less: what GitHub keeps of a repository
	uploadIdle   = time.Hour // after which an upload that was left open is forgotten
	bodyIdle     = time.Minute

	// signedFor is how long a signed address opens what it is for: as long as
	// all attempts of a build may take by default.
	signedFor = 2 * time.Hour
)
