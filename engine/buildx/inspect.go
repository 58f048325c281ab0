package buildx

import (
	"bufio"
	"strings"
)

// A Node is one of the daemons of a builder.
type Node struct {
	Name     string
	Endpoint string            // as buildx shows it: an address, or a docker context
	Status   string            // "running", "inactive", …; empty beside an Error
	Error    string            // why it could not be asked
	Version  string            // of its BuildKit
	Options  map[string]string // driver options
	Labels   map[string]string // of its worker
}

// inspection is what `buildx inspect` prints.
type inspection struct {
	name, driver, err string
	nodes             []Node
}

// parseInspection reads the output of `buildx inspect`: fields in lines, the
// nodes' after a line "Nodes:", the labels of each indented by a blank. What it
// does not know it passes over.
func parseInspection(out string) inspection {
	var in inspection
	var node *Node
	var section string
	s := bufio.NewScanner(strings.NewReader(out))
	for s.Scan() {
		line := s.Text()
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		if strings.HasPrefix(line, " ") {
			if node != nil && section == "Labels" {
				node.Labels[strings.TrimSpace(key)] = strings.TrimSpace(value)
			}
			continue
		}
		section, value = key, strings.TrimSpace(value)
		switch {
		case key == "Nodes":
			node = &Node{}
		case node == nil:
			in.field(key, value)
		case key == "Name":
			in.nodes = append(in.nodes, Node{Name: value, Labels: make(map[string]string)})
			node = &in.nodes[len(in.nodes)-1]
		default:
			node.field(key, value)
		}
	}
	return in
}

func (in *inspection) field(key, value string) {
	switch key {
	case "Name":
		in.name = value
	case "Driver":
		in.driver = value
	case "Error":
		in.err = value
	}
}

func (n *Node) field(key, value string) {
	switch key {
	case "Endpoint":
		n.Endpoint = value
	case "Status":
		n.Status = value
	case "Error":
		n.Error = value
	case "BuildKit version":
		n.Version = value
	case "Driver Options":
		n.Options = options(value)
	}
}

// options reads `network="host" memory="2g"`. A value with a quotation mark in
// it ends there: none that matters here has one.
func options(s string) map[string]string {
	m := make(map[string]string)
	for {
		key, rest, ok := strings.Cut(s, `="`)
		if !ok {
			return m
		}
		value, rest, ok := strings.Cut(rest, `"`)
		m[strings.TrimSpace(key)] = value
		if !ok {
			return m
		}
		s = rest
	}
}

// trouble says why the builder cannot be used, or "". One node that answers is
// enough; buildx starts what is stopped, unless somebody else runs it.
func (in inspection) trouble() string {
	if in.err != "" {
		return in.err
	}
	why := "it has no nodes"
	for _, n := range in.nodes {
		switch {
		case n.Error != "":
			why = n.Error
		case in.driver == "remote" && n.Status == "inactive":
			why = "nothing answers at " + n.Endpoint
		default:
			return ""
		}
	}
	return why
}
