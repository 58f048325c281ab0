package record

import "encoding/json"

// Redacted returns r with every text in it changed by clean, which takes
// secrets out. Errors of tools repeat what they were given, so that whoever
// writes a record calls it once, at the end. Where clean leaves no record that
// can be read, nothing but how and when the run ended is returned.
func (r Run) Redacted(clean func(string) string) Run {
	bare := Run{ID: r.ID, Kind: r.Kind, Started: r.Started, Ended: r.Ended, Outcome: r.Outcome}
	data, err := json.Marshal(r)
	if err != nil {
		return bare
	}
	var tree any
	if err := json.Unmarshal(data, &tree); err != nil {
		return bare
	}
	if data, err = json.Marshal(cleaned(tree, clean)); err != nil {
		return bare
	}
	var out Run
	if err := json.Unmarshal(data, &out); err != nil {
		return bare
	}
	for ref, by := range r.Substitutes {
		if name := clean(ref); name != ref {
			delete(out.Substitutes, ref)
			out.Substitutes[name] = clean(by)
		}
	}
	// Text has no room for the monotonic clock, by which runs are measured.
	out.Started, out.Ended = r.Started, r.Ended
	for i := range out.Attempts {
		out.Attempts[i].Started, out.Attempts[i].Ended = r.Attempts[i].Started, r.Attempts[i].Ended
	}
	return out
}

func cleaned(v any, clean func(string) string) any {
	switch v := v.(type) {
	case string:
		return clean(v)
	case []any:
		for i := range v {
			v[i] = cleaned(v[i], clean)
		}
	case map[string]any:
		for key, value := range v {
			v[key] = cleaned(value, clean)
		}
	}
	return v
}
