package buildx

// A flag is one of the flags of `docker buildx build`.
type flag struct {
	name  string
	short byte // 0: none
	value bool // takes a value; else a boolean, whose value needs a "="
	many  bool // each use adds; else the last one wins
}

// flags are those of buildx 0.38, its hidden ones among them. A test compares
// the list with what `buildx build --help` says.
var flags = []flag{
	{"add-host", 0, true, true},
	{"allow", 0, true, true},
	{"annotation", 0, true, true},
	{"attest", 0, true, true},
	{"build-arg", 0, true, true},
	{"build-context", 0, true, true},
	{"builder", 0, true, false},
	{"cache-from", 0, true, true},
	{"cache-to", 0, true, true},
	{"call", 0, true, false},
	{"cgroup-parent", 0, true, false},
	{"check", 0, false, false},
	{"debug", 'D', false, false},
	{"file", 'f', true, false},
	{"help", 'h', false, false},
	{"iidfile", 0, true, false},
	{"label", 0, true, true},
	{"load", 0, false, false},
	{"metadata-file", 0, true, false},
	{"network", 0, true, false},
	{"no-cache", 0, false, false},
	{"no-cache-filter", 0, true, true},
	{"output", 'o', true, true},
	{"platform", 0, true, true},
	{"policy", 0, true, true},
	{"progress", 0, true, false},
	{"provenance", 0, true, false},
	{"pull", 0, false, false},
	{"push", 0, false, false},
	{"quiet", 'q', false, false},
	{"resource", 0, true, true},
	{"sbom", 0, true, false},
	{"secret", 0, true, true},
	{"shm-size", 0, true, false},
	{"ssh", 0, true, true},
	{"tag", 't', true, true},
	{"target", 0, true, false},
	{"ulimit", 0, true, true},

	// Hidden: from the days before BuildKit, or experiments.
	{"compress", 0, false, false},
	{"cpu-period", 0, true, false},
	{"cpu-quota", 0, true, false},
	{"cpu-shares", 'c', true, false},
	{"cpuset-cpus", 0, true, false},
	{"cpuset-mems", 0, true, false},
	{"force-rm", 0, false, false},
	{"isolation", 0, true, false},
	{"memory", 'm', true, false},
	{"memory-swap", 0, true, false},
	{"print", 0, true, false},
	{"rm", 0, false, false},
	{"security-opt", 0, true, true},
	{"squash", 0, false, false},
}

func longFlag(name string) (flag, bool) {
	for _, f := range flags {
		if f.name == name {
			return f, true
		}
	}
	return flag{}, false
}

func shortFlag(c byte) (flag, bool) {
	for _, f := range flags {
		if f.short != 0 && f.short == c {
			return f, true
		}
	}
	return flag{}, false
}
