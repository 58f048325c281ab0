package dockerfile

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

// from pins the image of a stage.
func (h *hardening) from(st *instructions.Stage, p piece) {
	base, ours := strings.ToLower(st.BaseName), slices.Contains(h.stages, strings.ToLower(st.BaseName))
	h.shell = nil
	if ours {
		h.shell = h.shells[base]
	}
	name := strings.ToLower(st.Name)
	h.stages = append(h.stages, name)
	h.shells[name] = h.shell
	if arguments := p.arguments(); !ours && base != scratch && bytes.HasPrefix(arguments.text, []byte(st.BaseName)) {
		h.pin(st.BaseName, arguments)
	}
}

// pin puts the digest behind the image that p begins with.
func (h *hardening) pin(image string, p piece) {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return
	}
	if _, ok := named.(reference.Digested); ok {
		return
	}
	if digest, ok := h.o.Pins[reference.TagNameOnly(named).String()]; ok {
		h.put(p.at[len(image)-1]+1, "@"+digest)
	}
}

// copyFrom pins the image of a COPY, or counts on, where it names a stage by
// its number.
func (h *hardening) copyFrom(cmd *instructions.CopyCommand, p piece) {
	i := bytes.Index(p.text, []byte("--from="+cmd.From))
	if cmd.From == "" || i < 0 {
		return
	}
	p = p.from(i + len("--from="))
	if !number.MatchString(cmd.From) {
		if !slices.Contains(h.stages, strings.ToLower(cmd.From)) {
			h.pin(cmd.From, p)
		}
		return
	}
	n := 0
	if _, err := fmt.Sscan(cmd.From, &n); err == nil {
		h.renums = append(h.renums, Edit{At: p.at[0], Text: fmt.Sprint(n + 1), Cut: len(cmd.From)})
	}
}

var number = regexp.MustCompile(`^\d{1,6}$`)

// mountFrom pins the images of mounts.
func (h *hardening) mountFrom(cmd *instructions.RunCommand, p piece) {
	flags := len(p.text) - len(p.arguments().text)
	for _, m := range instructions.GetMounts(cmd) {
		i := bytes.Index(p.text[:flags], []byte("from="+m.From))
		if m.From != "" && i >= 0 && !slices.Contains(h.stages, strings.ToLower(m.From)) {
			h.pin(m.From, p.from(i+len("from=")))
		}
	}
}
