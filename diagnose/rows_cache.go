package diagnose

import "github.com/outlast-build/outlast/fault"

// cacheRows are failures of build caches. None is worth failing a build for.
var cacheRows = []Pattern{
	{Name: "gha-outage-page", Service: "gha-cache", Kind: fault.HTML, Weight: Certain, Match: re(`[Ss]ervices aren't available right now`),
		Sample: "failed to parse error response 400: <h2>Our services aren't available right now</h2>: invalid character '<' looking for beginning of value", Hint: "the Actions cache is down: build without it"},
	{Name: "gha-blob-rate", Service: "gha-cache", Kind: fault.RateLimited, Weight: Specific, Match: re(`RequestBlockedException|Request was blocked due to exceeding usage|parse error response 429`),
		Sample: "error writing layer blob: failed to parse error response 429: {\"typeKey\":\"RequestBlockedException\"}"},
	{Name: "gha-blob", Service: "gha-cache", Kind: fault.CacheExport, Weight: Specific, Match: re(`error writing (?:layer|manifest|config) blob: (?:not_found|Cache already exists|error (?:committing|reserving)|maximum timeout|twirp|failed to parse error response)|failed to reserve cache|[Cc]ache already exists|cache entry with the same key`),
		Sample: "error writing layer blob: error committing cache 1: maximum timeout reached"},
	{Name: "gha-action-rate", Service: "gha-cache", Kind: fault.RateLimited, Weight: Specific, Match: re(`(?i)cache service responded with 429|(?:saveCache|reserveCache|getCacheEntry)\S* .*429|cache .*\b(?:rate limit|429 Too Many)`),
		Sample: "Warning: Cache service responded with 429 during commit cache."},
	{Name: "gha-action-timeout", Service: "gha-cache", Kind: fault.Timeout, Weight: Specific, Match: re(`(?i)(?:getCacheEntry|reserveCache|saveCache|commitCache|downloadCache|restoreCache)\S* failed: .*time.?out|cache .*(?:download|upload).*(?:timed out|stuck)|Aborting cache download`),
		Sample: "reserveCache failed: Request timeout: /_apis/artifactcache/caches"},
	{Name: "gha-action", Service: "gha-cache", Kind: fault.Outage, Weight: Specific, Match: re(`(?:getCacheEntry|reserveCache|saveCache|commitCache|restoreCache)\S* failed|[Cc]ache service responded with \d+|[Ff]ailed to (?:save|restore) cache|[Uu]nable to (?:download|reserve|save|restore) cache|Cache upload failed|(?:save|restore) cache (?:entry )?failed|Failed to (?:CreateCacheEntry|GetCacheEntryDownloadURL|FinalizeCacheEntryUpload)|error (?:committing|reserving|saving) cache|Twirp`),
		Sample: "Warning: Failed to restore: Cache service responded with 503"},
	{Name: "gha-export-limit", Service: "gha-cache", Kind: fault.CacheExport, Weight: Specific, Match: re(`^(?:.*: )?maximum timeout reached|failed to solve: not_found$|^(?:ERROR: )?not_found\b|cache entry (?:already|with the same)|error .*actions[- ]cache`),
		Sample: "error: failed to solve: maximum timeout reached", Hint: "the image was made; only the cache was not filled: set ignore-error=true on the export"},
	{Name: "gha-auth", Service: "gha-cache", Kind: fault.CacheImport, Weight: Specific, Match: re(`(?i)(?:productionresults\w*|blob\.core\.windows\.net|artifactcache|actions-cache|results-receiver|_apis/artifact).*(?:40[0-9]|AuthenticationFailed|expired|BlobNotFound|The specified blob does not exist)|Server failed to authenticate the request|AuthenticationFailed|failed to configure gha cache importer|Signature not valid in the specified time frame`),
		Sample: "GET https://productionresultssa0.blob.core.windows.net/actions-cache/0a-1: RESPONSE 403: 403 Server failed to authenticate the request."},
	{Name: "gha-connection", Service: "gha-cache", Kind: fault.Connection, Weight: Specific, Match: re(`(?i)(?:artifactcache|actions-cache|results-receiver|productionresults|_apis/artifact|actions\.githubusercontent).*(?:EOF|reset|closed|refused|broken pipe|GOAWAY|INTERNAL_ERROR)`),
		Sample: `error writing layer blob: Patch "https://artifactcache.actions.githubusercontent.com/x/_apis/artifactcache/caches/1": write: connection reset by peer`},
	{Name: "gha-slow", Service: "gha-cache", Kind: fault.Timeout, Weight: Specific, Match: re(`(?i)(?:artifactcache|actions-cache|results-receiver|productionresults|_apis/artifact|actions\.githubusercontent).*(?:time(?:d )?out|deadline)`),
		Sample: `Get "https://artifactcache.actions.githubusercontent.com/x/_apis/artifactcache/cache": context deadline exceeded`},
	{Name: "gha-status", Service: "gha-cache", Kind: fault.Outage, Weight: Specific, Match: re(`(?i)(?:artifactcache|actions-cache|results-receiver|productionresults|_apis/artifact|actions\.githubusercontent).*(?:50\d|429|unexpected)`),
		Sample: `Post "https://results-receiver.actions.githubusercontent.com/twirp/x": 503 Service Unavailable`},
	{Name: "cache-lazy-blob", Service: "gha-cache", Kind: fault.CacheImport, Weight: Specific, Match: re(`(?:^|: )blob (?:sha256:\w+ )?not found$|failed to load cache key: .*(?:416|blob|not found)|invalid cache (?:config|record)|failed to get reader from|416 (?:The range|Requested [Rr]ange)`),
		Sample: "error: failed to solve: failed to compute cache key: blob not found", Hint: "a layer of the imported cache is gone: build without that cache"},
	{Name: "registry-cache-import", Service: "registry-cache", Kind: fault.CacheImport, Weight: Likely, Match: re(`failed to configure registry cache importer|failed to import cache|importing cache manifest .*ERROR`),
		Sample: "failed to configure registry cache importer: unexpected status: 503 Service Unavailable"},
	{Name: "registry-cache-refused", Service: "registry-cache", Kind: fault.CacheExport, Weight: Specific, Help: Elsewhere, Match: re(`error writing (?:layer|manifest|config) blob: .*(?:4\d\d |unauthorized|denied|unsupported|invalid)`),
		Sample: "error writing manifest blob: failed commit on ref \"sha256:ab\": unexpected status: 400 Bad Request", Hint: "this registry does not take such caches: try image-manifest=true,oci-mediatypes=true, or another cache"},
	{Name: "registry-cache-export", Service: "registry-cache", Kind: fault.CacheExport, Weight: Specific, Match: re(`error writing (?:layer|manifest|config) blob|failed to configure registry cache exporter|failed to export cache`),
		Sample: "error writing layer blob: failed to do request: Put \"https://cache.example.com/v2/x/blobs/uploads/1\": EOF"},
}
