package pypi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/url"
	"path"
	"regexp"
	"strings"

	nethtml "golang.org/x/net/html"
)

// An index is what is known of a project: what an index says in either of its
// forms (PEP 503, PEP 691).
type index struct {
	Meta     meta     `json:"meta"`
	Name     string   `json:"name"`
	Files    []file   `json:"files"`
	Versions []string `json:"versions,omitempty"`

	marked bool // it says of itself that it is an index
}

type meta struct {
	Version string `json:"api-version"`
}

// A file is one file of a project. What it does not tell is nil.
type file struct {
	Name     string            `json:"filename"`
	URL      string            `json:"url"` // as the index has it, perhaps relative to it
	Hashes   map[string]string `json:"hashes"`
	Requires *string           `json:"requires-python,omitempty"`
	Yanked   any               `json:"yanked,omitempty"` // true, or the reason
	Core     any               `json:"core-metadata,omitempty"`
	DistInfo any               `json:"dist-info-metadata,omitempty"` // the older name of core-metadata
	Size     *int64            `json:"size,omitempty"`
	Uploaded *string           `json:"upload-time,omitempty"`
}

var versionForm = regexp.MustCompile(`^1\.[0-9]{1,3}$`)

// read reads an index in either form.
func read(body []byte) (index, error) {
	if trimmed := bytes.TrimLeft(body, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '{' {
		return readJSON(body)
	}
	return readHTML(body)
}

func readJSON(body []byte) (index, error) {
	var x index
	if err := json.Unmarshal(body, &x); err != nil {
		return x, fmt.Errorf("read JSON: %w", err)
	}
	if !versionForm.MatchString(x.Meta.Version) {
		return x, fmt.Errorf("version %.20q of the index, want 1", x.Meta.Version)
	}
	x.marked = true
	return x, nil
}

// readHTML reads the links of a page.
func readHTML(body []byte) (index, error) {
	x := index{Meta: meta{"1.0"}}
	var base *url.URL
	z := nethtml.NewTokenizer(bytes.NewReader(body))
	for {
		switch z.Next() {
		case nethtml.ErrorToken:
			return x, nil // the end
		case nethtml.StartTagToken, nethtml.SelfClosingTagToken:
			tag, more := z.TagName()
			name := string(tag)
			if name != "a" && name != "base" && name != "meta" {
				continue
			}
			attributes := make(map[string]string)
			for more {
				var key, value []byte
				key, value, more = z.TagAttr()
				if _, twice := attributes[string(key)]; !twice {
					attributes[string(key)] = string(value)
				}
			}
			switch name {
			case "base":
				base, _ = url.Parse(attributes["href"])
			case "meta":
				x.marked = x.marked || strings.HasPrefix(attributes["name"], "pypi:")
			case "a":
				if f, ok := link(base, attributes); ok {
					x.Files = append(x.Files, f)
				}
			}
		}
	}
}

// link reads a link to a file.
func link(base *url.URL, attributes map[string]string) (file, bool) {
	to, err := url.Parse(strings.TrimSpace(attributes["href"]))
	if err != nil || to.Opaque != "" {
		return file{}, false
	}
	if base != nil {
		to = base.ResolveReference(to)
	}
	f := file{Name: path.Base(to.Path), Hashes: make(map[string]string)}
	for one := range strings.SplitSeq(to.Fragment, "&") {
		if name, sum, ok := strings.Cut(one, "="); ok {
			f.Hashes[name] = strings.ToLower(sum)
		}
	}
	to.Fragment, to.RawFragment = "", ""
	f.URL = to.String()
	if v, ok := attributes["data-requires-python"]; ok {
		f.Requires = &v
	}
	if v, ok := attributes["data-yanked"]; ok {
		f.Yanked = true
		if v != "" {
			f.Yanked = v
		}
	}
	f.Core = metadataOf(attributes, "data-core-metadata")
	f.DistInfo = metadataOf(attributes, "data-dist-info-metadata")
	return f, fileForm.MatchString(f.Name)
}

// metadataOf reads an attribute that says whether metadata stands beside a file
// (PEP 658, PEP 714).
func metadataOf(attributes map[string]string, key string) any {
	v, ok := attributes[key]
	if !ok {
		return nil
	}
	if name, sum, ok := strings.Cut(v, "="); ok {
		return map[string]any{name: strings.ToLower(sum)}
	}
	return true
}

// hashes are those of one thing, by algorithm.
type hashes map[string]string

// said is how an index says of metadata what its hashes are. Without any it says
// nothing: clients then read the file itself.
func (h hashes) said() any {
	if h == nil {
		return nil
	}
	all := make(map[string]any, len(h))
	for name, sum := range h {
		all[name] = sum
	}
	return all
}

// metadata returns the hashes of the metadata beside f, or nil where there is
// none that a hash proves.
func (f file) metadata() hashes {
	for _, said := range []any{f.Core, f.DistInfo} {
		all, ok := said.(map[string]any)
		if !ok {
			continue
		}
		h := make(hashes)
		for name, sum := range all {
			if text, ok := sum.(string); ok {
				h[name] = strings.ToLower(text)
			}
		}
		if _, ok := strongest(h); ok {
			return h
		}
	}
	return nil
}

// yanked reports whether f was taken back, and why.
func (f file) yanked() (reason string, yes bool) {
	switch y := f.Yanked.(type) {
	case bool:
		return "", y
	case string:
		return y, y != ""
	}
	return "", false
}

// check refuses what cannot be the index of a project.
func check(name string, body []byte) (index, error) {
	x, err := read(body)
	if err != nil {
		return x, err
	}
	if x.Name != "" && normal(x.Name) != name {
		return x, fmt.Errorf("the index of %.100q came for %s", x.Name, name)
	}
	if x.marked {
		return x, nil
	}
	for _, f := range x.Files {
		if strings.HasPrefix(normal(f.Name), name+"-") {
			return x, nil
		}
	}
	return x, errNoIndex
}

var errNoIndex = errors.New("a web page that is no index")

// succeed returns an error where next gives a file another hash than before did.
func succeed(before, next index) error {
	known := make(map[string]map[string]string, len(before.Files))
	for _, f := range before.Files {
		known[f.Name] = f.Hashes
	}
	for _, f := range next.Files {
		was, ok := known[f.Name]
		if ok && len(was) > 0 && !agree(was, f.Hashes) {
			return fmt.Errorf("%s had the hash %.200s before, and has %.200s now", f.Name, fmt.Sprint(was), fmt.Sprint(f.Hashes))
		}
	}
	return nil
}

// agree reports whether two sets of hashes can be of the same bytes: they have
// an algorithm in common, and say the same for each one that both have.
func agree(a, b map[string]string) bool {
	common := false
	for name, x := range a {
		if y, ok := b[name]; ok {
			if !strings.EqualFold(x, y) {
				return false
			}
			common = true
		}
	}
	return common
}

// asJSON writes x for a client that reads JSON.
func (x index) asJSON() ([]byte, error) {
	if x.Files == nil {
		x.Files = []file{}
	}
	return json.Marshal(x)
}

// asHTML writes x as a page.
func (x index) asHTML() []byte {
	var b bytes.Buffer
	title := html.EscapeString(x.Name)
	fmt.Fprintf(&b, "<!DOCTYPE html>\n<html>\n<head>\n<meta name=\"pypi:repository-version\" content=\"%s\">\n<title>Links for %s</title>\n</head>\n<body>\n<h1>Links for %s</h1>\n",
		x.Meta.Version, title, title)
	for _, f := range x.Files {
		href := f.URL
		if h, ok := strongest(f.Hashes); ok {
			href += "#" + h.name + "=" + h.hex
		}
		attribute := func(name, value string) string { return " " + name + "=\"" + html.EscapeString(value) + "\"" }
		tag := "<a" + attribute("href", href)
		if f.Requires != nil {
			tag += attribute("data-requires-python", *f.Requires)
		}
		if reason, ok := f.yanked(); ok {
			tag += attribute("data-yanked", reason)
		}
		if h, ok := strongest(f.metadata()); ok {
			tag += attribute("data-core-metadata", h.name+"="+h.hex) + attribute("data-dist-info-metadata", h.name+"="+h.hex)
		}
		fmt.Fprintf(&b, "%s>%s</a><br>\n", tag, html.EscapeString(f.Name))
	}
	b.WriteString("</body>\n</html>\n")
	return b.Bytes()
}
