// Package outlast builds container images through outages: one build from
// start to end. It surveys what the build needs, plans, runs the engine with
// the gateway in the way, looks at what went wrong, and goes round it.
package outlast
