package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds on a settings text. The parser goes down with each level, and its
// work grows with the square of the keys of a mapping: 64 KiB of dashes in a
// line keep it for four seconds.
const (
	maxNesting = 32
	maxTokens  = 10_000
)

// readText takes a settings text apart.
func (l *loader) readText(text []byte, s Source, p place) {
	root, err := parse(text)
	if err != nil {
		l.problem(s.at(err.line), "", err.text)
		return
	}
	if root != nil {
		r := reader{l, s, p}
		r.section("", root)
	}
}

// textError is an error of a text that is no settings text at all.
type textError struct {
	line int
	text string
}

// parse returns the one document of a text, or nil where it is empty.
func parse(text []byte) (root ast.Node, failed *textError) {
	tokens := lexer.Tokenize(strings.TrimPrefix(string(text), "\ufeff"))
	if len(tokens) > maxTokens {
		return nil, &textError{tokens[maxTokens].Position.Line, fmt.Sprintf("more than %d words and signs", maxTokens)}
	}
	if line := tooDeep(tokens); line > 0 {
		return nil, &textError{line, fmt.Sprintf("nested more than %d deep", maxNesting)}
	}
	// The parser is fed by strangers; where it stumbles, the text is at fault.
	defer func() {
		if recover() != nil {
			root, failed = nil, &textError{0, "cannot be read as YAML"}
		}
	}()
	file, err := parser.Parse(tokens, 0)
	if err != nil {
		return nil, syntaxError(err)
	}
	var bodies []ast.Node
	for _, doc := range file.Docs {
		if doc.Body != nil && doc.Body.Type() != ast.NullType && doc.Body.Type() != ast.CommentType {
			bodies = append(bodies, doc.Body)
		}
	}
	switch len(bodies) {
	case 0:
		return nil, nil
	case 1:
		return bodies[0], nil
	}
	return nil, &textError{lineOf(bodies[1]), "a second document begins here; want one"}
}

// tooDeep returns the line where brackets, dashes or indentation stand too
// deep, or 0.
func tooDeep(tokens token.Tokens) int {
	depth, dashes, line := 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			dashes, line = 0, t.Position.Line
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			depth++
		case token.SequenceEndType, token.MappingEndType:
			depth--
		case token.SequenceEntryType:
			dashes++
		}
		if depth > maxNesting || dashes > maxNesting || t.Position.IndentNum > 16*maxNesting {
			return t.Position.Line
		}
	}
	return 0
}

func syntaxError(err error) *textError {
	var e yaml.Error
	if !errors.As(err, &e) {
		return &textError{0, "cannot be read as YAML"}
	}
	line := 0
	if t := e.GetToken(); t != nil && t.Position != nil {
		line = t.Position.Line
	}
	message, _, _ := strings.Cut(e.GetMessage(), "\n")
	return &textError{line, message}
}

// A reader walks one text. It knows where the text came from.
type reader struct {
	*loader
	source Source
	place  place
}

// section reads the mapping of a section of the table: "" is the whole file.
func (r reader) section(prefix string, n ast.Node) {
	r.mapping(prefix, n, sections(prefix), func(name, key string, v ast.Node) {
		if key == "registries" {
			r.registries(v)
			return
		}
		if key == "probe.checks" {
			r.checks(v)
			return
		}
		row, ok := rowOf(key)
		if !ok {
			r.section(key, v)
			return
		}
		if text, ok := r.text(row, v); ok {
			r.said = append(r.said, assignment{key, text, r.source.at(lineOf(v)), r.place})
		}
	})
}

// mapping calls each for every pair of n whose name is allowed, nil allowing
// any, and tells of all others. An empty value is an empty mapping.
func (r reader) mapping(prefix string, n ast.Node, allowed []string, each func(name, key string, v ast.Node)) {
	if n.Type() == ast.NullType {
		return
	}
	m, ok := n.(ast.MapNode)
	if !ok {
		r.problem(r.source.at(lineOf(n)), prefix, "want keys below it"+listed("allowed", allowed))
		return
	}
	seen := make(map[string]int)
	for pairs := m.MapRange(); pairs.Next(); {
		node := pairs.KeyValue().Key
		name, ok := keyName(node)
		line := lineOf(node)
		key := join(prefix, name)
		switch first, twice := seen[name]; {
		case !ok:
			r.problem(r.source.at(line), prefix, "a key must be a plain word"+listed("allowed", allowed))
			continue
		case twice:
			r.problem(r.source.at(line), key, fmt.Sprintf("stands twice: first in line %d", first))
			continue
		}
		seen[name] = line
		if allowed != nil && !slices.Contains(allowed, name) {
			r.problem(r.source.at(line), key, unknown("key", name, allowed))
			continue
		}
		each(name, key, pairs.Value())
	}
}

// text returns the text of a value of the table: that of a list of words has
// commas between them.
func (r reader) text(row row, n ast.Node) (string, bool) {
	s, ok := n.(*ast.SequenceNode)
	if !ok || !row.kind.list {
		return r.scalar(row.key, n)
	}
	words := make([]string, len(s.Values))
	for i, v := range s.Values {
		text, why := scalarText(v)
		if why == "" && (text == "" || strings.ContainsAny(text, ", \n\t")) {
			why = fmt.Sprintf("%.60q is no word", text)
		}
		if why != "" {
			r.problem(r.source.at(lineOf(v)), fmt.Sprintf("%s[%d]", row.key, i), why+"; allowed: "+row.kind.allowed)
			return "", false
		}
		words[i] = text
	}
	return strings.Join(words, ","), true
}

// scalar returns the text of a plain value.
func (r reader) scalar(key string, n ast.Node) (string, bool) {
	text, why := scalarText(n)
	if why == "" {
		return text, true
	}
	if row, ok := rowOf(key); ok {
		why += "; allowed: " + row.kind.allowed
	}
	r.problem(r.source.at(lineOf(n)), key, why)
	return "", false
}

// scalarText returns the text of a plain value, or why there is none.
func scalarText(n ast.Node) (text, why string) {
	switch v := n.(type) {
	case *ast.StringNode:
		return v.Value, ""
	case *ast.LiteralNode:
		return strings.TrimSpace(v.Value.Value), ""
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return strings.TrimSpace(n.GetToken().Value), ""
	case *ast.NullNode:
		return "", "no value"
	}
	return "", "want one value, not " + nodeName(n)
}

func nodeName(n ast.Node) string {
	switch n.Type() {
	case ast.MappingType, ast.MappingValueType:
		return "keys below it"
	case ast.SequenceType:
		return "a list"
	case ast.AnchorType, ast.AliasType, ast.MergeKeyType:
		return "an anchor or an alias: write the value out"
	}
	return "a tag"
}

// keyName returns the text of a key that is a plain scalar.
func keyName(n ast.MapKeyNode) (string, bool) {
	text, why := scalarText(n)
	return text, why == ""
}

func lineOf(n ast.Node) int {
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 0
}

func join(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + "." + name
}
