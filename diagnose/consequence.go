package diagnose

// Consequence reports whether d rests on words that follow when something
// earlier failed in silence: a package that is not in a list which was not
// downloaded. Alone they mean what they say.
func (d Diagnosis) Consequence() bool {
	for _, e := range table() {
		if e.Name == d.Pattern {
			return e.Weight == Consequence
		}
	}
	return false
}
