package diagnose

import "github.com/outlast-build/outlast/fault"

// engineRows are failures of the build engine and of the machine under it.
var engineRows = []Pattern{
	{Name: "engine-unreachable", Service: "buildkit", Kind: fault.Engine, Weight: Specific, Match: re(`Cannot connect to the Docker daemon|[Ii]s the docker daemon running|error during connect|failed to dial gRPC|failed to list workers|could not connect to .*buildkitd|unable to connect to buildkit|docker daemon is not running|driver not connecting|No such container: buildx_buildkit|failed to initialize builder|no (?:active sessions?|valid drivers found)|failed to find driver|timeout: context deadline exceeded waiting for buildkit`),
		Sample: "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"},
	{Name: "engine-lost", Service: "buildkit", Kind: fault.Engine, Weight: Specific, Match: re(`code = Unavailable|closing transport|error reading from server|failed to (?:receive|get) status|graceful_stop|server handshake|frontend grpc server closed|code = Canceled desc = grpc|session (?:healthcheck failed|\S+ not found)|no active session for|lease "?\S+"?(?: does not exist|: not found)|transport is closing|client disconnected|the client connection is closing|SubConns are in TransientFailure|received prior goaway|(?:closed before|reading) server preface|^(?:ERROR: |error: )?(?:failed to solve: )?Unavailable: |context canceled: context canceled|grpc: the client connection`),
		Sample: "ERROR: failed to receive status: rpc error: code = Unavailable desc = error reading from server: EOF"},
	{Name: "engine-internal", Service: "buildkit", Kind: fault.Engine, Weight: Likely, Match: re(`\(HTTP code 500\) server error|inconsistent graph state|parent snapshot \S+ does not exist|failed to prepare \S+ as|failed to mount|error mounting|failed to create (?:shim|temp|lease)|failed to get (?:edge|layer)|flightcontrol: |OCI runtime create failed|runc did not terminate|failed to get state for index|snapshot \S+ (?:does not exist|already exists)|failed to (?:create|start) (?:endpoint|container)|driver failed programming|failed to update bridge|iptables failed|non-overlapping IPv4|fork/exec .*resource temporarily|database not open|content \S+: not found|failed to load ref|failed to get reader|rootlesskit|containerd: `),
		Sample: "failed to prepare extraction snapshot \"extract-1 sha256:a\": parent snapshot sha256:a does not exist: not found"},
	{Name: "emulation", Service: "buildkit", Kind: fault.Platform, Weight: Specific, Match: re(`qemu: uncaught target signal|qemu-\w+: |rosetta error|Illegal instruction`),
		Sample: "qemu: uncaught target signal 11 (Segmentation fault) - core dumped", Hint: "emulation of another processor failed: build on that processor, or cross-compile"},
	{Name: "wrong-processor", Service: "buildkit", Kind: fault.Platform, Weight: Certain, Help: Nothing, Match: re(`exec format error|cannot execute binary file|exec user process caused`),
		Sample: `exec /bin/sh: exec format error`},
	{Name: "memory", Service: "buildkit", Kind: fault.Resource, Weight: Likely, Match: re(`(?i)cannot allocate memory|out of memory|OOMKilled|\boom-kill|signal: killed|Killed signal terminated|virtual memory exhausted|ResourceExhausted: .*memory|^Killed$|signal 9|SIGKILL|std::bad_alloc|memory allocation of \d+ bytes failed|^MemoryError`),
		Sample: "c++: fatal error: Killed signal terminated program cc1plus", Hint: "out of memory: fewer jobs at once, or more memory for the builder"},
	{Name: "open-files", Service: "buildkit", Kind: fault.Resource, Weight: Likely, Match: re(`(?i)too many open files|\bEMFILE\b|\bENFILE\b`),
		Sample: "fatal error: open /src/main.go: too many open files", Hint: "too few files may be open at once: raise the limit (nofile) of the builder"},
	{Name: "no-output", Service: "buildkit", Kind: fault.Resource, Weight: Vague, Match: re(`produced no output for|No output has been received|no output (?:for|in the last) \d+`),
		Sample: "The build produced no output for 10m0s and was ended."},
	{Name: "apparmor", Service: "buildkit", Kind: fault.Platform, Weight: Vague, Match: re(`(?i)seccomp|apparmor|cgroup.*(?:not|fail)|user namespaces?|newuidmap`),
		Sample: "newuidmap: write to uid_map failed: Operation not allowed"},
	{Name: "engine-old", Service: "buildkit", Kind: fault.Platform, Weight: Specific, Match: re(`unsupported context source|unsupported frontend capability|Unimplemented: |code = Unimplemented|requested experimental feature|requires BuildKit v?\d`),
		Sample: "unsupported frontend capability moby.buildkit.frontend.contexts", Hint: "this builder is too old for what the build asks: use a newer one"},
}
