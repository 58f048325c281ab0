package engine

// A Ground is what the daemon of a builder stands on, as far as that is on this
// machine and can be seen by this user. What is not known is empty.
type Ground struct {
	Root   string // where the daemon keeps its content, as it names the folder itself
	Path   string // where this process finds that folder
	Memory int64  // what the control group of the daemon may use at most, in bytes; 0: no limit
	Killed int    // how often a process of that group was ended, since it began, as it had too little memory
}
