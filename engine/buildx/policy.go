package buildx

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/outlast-build/outlast/engine"

	"github.com/moby/buildkit/solver/pb"
	spb "github.com/moby/buildkit/sourcepolicy/pb"
	"github.com/moby/buildkit/util/gitutil"
	"google.golang.org/protobuf/proto"
)

// policyEnv names the file that buildx reads a source policy from.
const policyEnv = "EXPERIMENTAL_BUILDKIT_SOURCE_POLICY"

// policyLimit bounds the user's own policy file.
const policyLimit = 4 << 20

const imageScheme = "docker-image://"

// The beginnings of the identifiers of what ADD asks for.
var sourceSchemes = []string{"https://", "http://", "git://"}

// keepAttr marks a source that the routes must leave alone. BuildKit's source
// of images passes over attributes that it does not know, and its policy can
// ask for them: so one rule can hold another one off, which their order alone
// cannot, since the rules are gone through again after each change.
const keepAttr = "build.outlast.keep"

// A policy is what routes, pins and exceptions come to.
type policy struct {
	file  *spb.Policy // nil: none is needed beyond the user's own
	notes []string
}

// policyOf makes the rules. The user's own stand first: a rule that converts
// is done before ours are looked at. BuildKit forgets what a rule allowed or
// denied once another one converts the source, so next to a user's rule that
// allows or denies images nothing is converted at all.
func policyOf(req engine.Request, user *spb.Policy) policy {
	images, sources := rules(req), detourRules(req)
	if len(images)+len(sources) == 0 {
		return policy{}
	}
	if user == nil {
		return policy{file: &spb.Policy{Version: 1, Rules: append(images, sources...)}}
	}
	var notes []string
	if len(images) > 0 && judges(user, imageScheme) {
		images, notes = nil, append(notes, "your source policy allows or denies images: the build's own pulls do not go through the gateway")
	}
	if len(sources) > 0 && judges(user, sourceSchemes...) {
		sources, notes = nil, append(notes, "your source policy allows or denies addresses: what ADD fetches does not go through the gateway")
	}
	ours := append(images, sources...)
	if len(ours) == 0 {
		return policy{notes: notes}
	}
	merged := proto.Clone(user).(*spb.Policy)
	merged.Rules = append(merged.Rules, ours...)
	return policy{file: merged, notes: notes}
}

// judges reports whether a policy allows or denies anything of a scheme.
func judges(p *spb.Policy, schemes ...string) bool {
	return slices.ContainsFunc(p.Rules, func(r *spb.Rule) bool {
		return r.GetAction() != spb.PolicyAction_CONVERT &&
			slices.ContainsFunc(schemes, func(scheme string) bool { return mayMatch(r.GetSelector(), scheme) })
	})
}

func rules(req engine.Request) []*spb.Rule {
	var rules []*spb.Rule
	for _, ref := range slices.Sorted(slices.Values(req.Keep)) {
		// The frontend adds the digest to what it has resolved.
		kept := "^" + regexp.QuoteMeta(imageScheme+ref) + "(@sha256:[0-9a-f]{64})?$"
		rules = append(rules, convert(spb.MatchType_REGEX, kept, "${0}", map[string]string{keepAttr: "1"}))
	}
	for _, ref := range slices.Sorted(maps.Keys(req.Pins)) {
		pinned := ref + "@" + req.Pins[ref].String()
		rules = append(rules, convert(spb.MatchType_EXACT, imageScheme+ref, imageScheme+pinned, nil))
	}
	for _, r := range req.Routes {
		// "$" would begin a reference to a group; neither a host nor an
		// address can hold one, and where it is there all the same it is
		// taken literally.
		to := imageScheme + strings.ReplaceAll(r.Prefix, "$", "$$") + "/${1}"
		// A host may be written in capitals.
		from := "^" + imageScheme + "(?i:" + regexp.QuoteMeta(r.Host) + ")/(.*)$"
		rule := convert(spb.MatchType_REGEX, from, to, nil)
		rule.Selector.Constraints = []*spb.AttrConstraint{{Key: keepAttr, Value: "1", Condition: spb.AttrMatch_NOTEQUAL}}
		rules = append(rules, rule)
	}
	return rules
}

// detourRules convert what ADD asks for. A file's name, date and checksum are
// in BuildKit's cache key, and its address is not; of a repository, the commit
// is. One whose .git is kept has its address in the image, and is left alone.
func detourRules(req engine.Request) []*spb.Rule {
	var rules []*spb.Rule
	for _, d := range req.Detours {
		if !d.Git {
			rule := convert(spb.MatchType_EXACT, d.Address, d.At, nil)
			rule.Selector.Constraints = []*spb.AttrConstraint{{Key: pb.AttrHTTPChecksum, Value: d.Checksum, Condition: spb.AttrMatch_EQUAL}}
			rules = append(rules, rule)
			continue
		}
		from, err := gitutil.ParseURL(d.Address)
		if err != nil {
			continue
		}
		to, err := gitutil.ParseURL(d.At)
		if err != nil {
			continue
		}
		point := "(#" + regexp.QuoteMeta(d.Point) + "(?::.*)?)"
		if d.Point == "" {
			point = "(#:.*)?"
		}
		rule := convert(spb.MatchType_REGEX, "^git://"+regexp.QuoteMeta(from.Host+path.Join("/", from.Path))+point+"$",
			"git://"+strings.ReplaceAll(to.Host+path.Join("/", to.Path), "$", "$$")+"${1}", map[string]string{pb.AttrFullRemoteURL: d.At})
		rule.Selector.Constraints = []*spb.AttrConstraint{
			{Key: pb.AttrFullRemoteURL, Value: d.Address, Condition: spb.AttrMatch_EQUAL},
			{Key: pb.AttrKeepGitDir, Value: "true", Condition: spb.AttrMatch_NOTEQUAL},
		}
		rules = append(rules, rule)
	}
	return rules
}

func convert(match spb.MatchType, from, to string, attrs map[string]string) *spb.Rule {
	return &spb.Rule{
		Action:   spb.PolicyAction_CONVERT,
		Selector: &spb.Selector{Identifier: from, MatchType: match},
		Updates:  &spb.Update{Identifier: to, Attrs: attrs},
	}
}

// shownFor are pairs of what BuildKit and git show of a detour, and what to show
// for it. git leaves the end of a repository's name out.
func shownFor(detours []engine.Detour) []string {
	var pairs []string
	for _, d := range detours {
		pairs = append(pairs, d.At, d.Address)
		if d.Git {
			_, at, _ := strings.Cut(d.At, "://")
			_, address, _ := strings.Cut(d.Address, "://")
			pairs = append(pairs, at, address, strings.TrimSuffix(at, ".git"), strings.TrimSuffix(address, ".git"))
		}
	}
	return pairs
}

// mayMatch reports whether the selector can match what begins with scheme. It
// says yes where it cannot be told from the beginning of the text.
func mayMatch(s *spb.Selector, scheme string) bool {
	id := strings.TrimPrefix(s.GetIdentifier(), "^")
	end := strings.IndexAny(id, `*?\[](){}.+|$`)
	literal := id
	switch {
	case s.GetMatchType() == spb.MatchType_REGEX && !strings.HasPrefix(s.GetIdentifier(), "^"):
		return true
	case s.GetMatchType() != spb.MatchType_EXACT && end >= 0:
		literal = id[:end]
		if len(literal) < len(scheme) {
			return strings.HasPrefix(scheme, literal)
		}
	}
	return strings.HasPrefix(literal, scheme)
}

// readPolicy reads the user's policy as buildx does: JSON, else protobuf. An
// empty path gives nil.
func readPolicy(path string) (*spb.Policy, error) {
	if path == "" {
		return nil, nil
	}
	data, err := readBounded(path, policyLimit)
	if err != nil {
		return nil, err
	}
	var p spb.Policy
	if err := json.Unmarshal(data, &p); err != nil {
		if proto.Unmarshal(data, &p) != nil {
			return nil, fmt.Errorf("read source policy %s: %w", path, err)
		}
	}
	return &p, nil
}

// write puts the policy into a file of its own.
func (p policy) write(path string) error {
	data, err := json.Marshal(p.file)
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}
