package npm

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// A release is what a document says of one version.
type release struct {
	version   string
	tarball   string // the address of its archive
	integrity string // dist.integrity, and dist.shasum in the same form; empty where the document names no hash
	at        value  // of the tarball in the document
}

// A document is what a registry says of a package, or of one version of it.
type document struct {
	name     string
	releases []release
}

// read reads a document. Where a key stands twice, the last one counts, as it
// does for clients.
func read(data []byte) (document, error) {
	var d document
	s, err := scan(data)
	if err != nil {
		return d, err
	}
	var versions, dist value
	var version string
	err = s.members(s.root(), func(key string, v value) (err error) {
		switch key {
		case "name":
			d.name, err = s.text(v)
		case "version":
			version, err = s.text(v)
		case "versions":
			versions = v
		case "dist":
			dist = v
		}
		return err
	})
	if err != nil {
		return d, err
	}
	if dist.to > 0 && version != "" {
		r, err := s.release(version, dist)
		if err != nil {
			return d, err
		}
		d.releases = append(d.releases, r)
	}
	if versions.to == 0 {
		return d, nil
	}
	err = s.members(versions, func(version string, v value) error {
		var dist value
		err := s.members(v, func(key string, v value) error {
			if key == "dist" {
				dist = v
			}
			return nil
		})
		if err != nil || dist.to == 0 {
			return err
		}
		r, err := s.release(version, dist)
		d.releases = append(d.releases, r)
		return err
	})
	return d, err
}

// release reads the dist of a version.
func (s *scanner) release(version string, dist value) (release, error) {
	r := release{version: version}
	var sum string
	err := s.members(dist, func(key string, v value) (err error) {
		if s.data[v.from] != '"' {
			return nil
		}
		switch key {
		case "tarball":
			r.at = v
			r.tarball, err = s.text(v)
		case "integrity":
			r.integrity, err = s.text(v)
		case "shasum":
			sum, err = s.text(v)
		}
		return err
	})
	if sum != "" {
		r.integrity = strings.TrimSpace(r.integrity + " " + fromHex(sum))
	}
	return r, err
}

// rewrite puts address(r) in place of the address of each archive, and leaves
// every other byte as it is. Where address returns "", the old one stays.
func rewrite(data []byte, releases []release, address func(release) string) []byte {
	releases = slices.Clone(releases)
	slices.SortFunc(releases, func(a, b release) int { return a.at.from - b.at.from })
	out := make([]byte, 0, len(data)+len(data)/32)
	done := 0
	for _, r := range releases {
		to := ""
		if r.at.to > 0 {
			to = address(r)
		}
		if to == "" || r.at.from < done {
			continue
		}
		text, err := json.Marshal(to)
		if err != nil {
			continue
		}
		out = append(out, data[done:r.at.from]...)
		out = append(out, text...)
		done = r.at.to
	}
	return append(out, data[done:]...)
}

// succeed returns an error where next gives a version another hash than before
// did.
func succeed(before, next document) error {
	known := make(map[string]string, len(before.releases))
	for _, r := range before.releases {
		known[r.version] = r.integrity
	}
	for _, r := range next.releases {
		was, ok := known[r.version]
		if !ok || was == "" {
			continue
		}
		if !agree(was, r.integrity) {
			return fmt.Errorf("%s %s had the hash %.100s before, and has %.100s now", next.name, r.version, was, r.integrity)
		}
	}
	return nil
}
