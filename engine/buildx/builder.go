package buildx

// A Builder is where builds run.
type Builder struct {
	// Name is the builder as buildx knows it. Empty: buildx's current one, or
	// what the user's --builder says.
	Name string

	// Env is added to the environment of the child.
	Env []string
}
