package diagnose

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/outlast-build/outlast/redact"
)

var (
	urls    = re(`(?i)\b(?:https?|http\+docker|hkps?|git|ftp|ssh)://(?:[^/@\s"'<>]*@)?(\[[0-9a-f:]+\]|[\w.\-]+)(:\d+)?([^\s"'<>\x60]*)`)
	refused = re(`(?i)connection refused|ECONNREFUSED|connect to \S+ port \d+`)

	// Names of hosts in the words of resolvers, dialers and tools.
	named = []*Expression{
		re(`(?i)\blookup ([\w.\-]+?)\.?(?: on |: |$)`),
		re(`(?i)could(?:n't| not) resolve (?:host|proxy)(?:name)?:? '?([\w\-]+(?:\.[\w\-]+)+)`),
		re(`(?i)(?:failure resolving|could not resolve|unable to resolve host address|bad address|resolve host name for \S*?//) ?['‘"]?([\w.\-]+)`),
		re(`(?i)(?:failed to connect to|connection to|connecting to|host=)\s*'?([\w\-]+(?:\.[\w\-]+)+|localhost)'?`),
		re(`(?i)getaddrinfo (?:ENOTFOUND|EAI_AGAIN) ([\w.\-]+)`),
		re(`(?i)\b(?:dial|read|write) tcp (?:[^\s>]+->)?\[?((?:\d{1,3}\.){3}\d{1,3}|[\w\-]+(?:\.[\w\-]+)+|localhost)\]?:\d+`),
		re(`(?i)\bconnect (?:ECONNREFUSED|ETIMEDOUT|EHOSTUNREACH) \[?([\w.:\-]+?)\]?:\d+`),
		re(`(?i)could not translate host name "([\w.\-]+)"`),
		re(`(?i)\bon host "([\w.\-]+)"`),
		re(`Starting new HTTPS? connection \(\d+\): ([\w.\-]+)`),
		re(`--keyserver[ =](?:hkps?://)?([\w.\-]+)`),
		re(`(?i)Cannot initiate the connection to ([\w.\-]+):\d+`),
	}
	// An image with its registry, without a scheme.
	image = re(`(?:^|[\s"'=(:])((?:[\w\-]+\.)+(?:io|com|net|org|dev|aws|cloud|[a-z]{2})(?::\d+)?)/[a-z0-9<][\w./<>\-]*`)
)

// pulls are the services whose hosts stand in the names of images.
var pulls = map[string]bool{"registry": true, "registry-cache": true, "auth": true, "dockerfile": true}

// endpoint returns the host at fault: that of the innermost URL of the line,
// or the name that a resolver or dialer was asked for; else the same of the
// lines around, then of the command that failed. An address of the network
// counts only where nothing has a name.
func (l *log) endpoint(h hit) string {
	number := ""
	for _, i := range l.around(h.at, 8) {
		host := hostIn(l.lines[i].text)
		if host == "" && pulls[h.p.Service] {
			host = imageHost(l.lines[i].text)
		}
		if !isNumber(host) {
			return host
		}
		if number == "" {
			number = host
		}
	}
	if number != "" && own(number) {
		return number
	}
	for i := len(l.command) - 1; i >= 0; i-- {
		if host := hostIn(l.command[i]); host != "" {
			return host
		}
		if host := imageHost(l.command[i]); host != "" && pulls[h.p.Service] {
			return host
		}
	}
	if number == "" && pulls[h.p.Service] && l.fromHub(h) {
		return "docker.io"
	}
	return number
}

// hubImage is an image without a registry, as builders and engines name it,
// and the words of Docker Hub's own quota.
var hubImage = re(`(?i)(?:^FROM (?:--platform=\S+ )?|Pulling from |pull access denied for |pulling image |manifest for )[\w\-]+(?:/[\w.\-]+)?(?:[:@,\s]|$)|reached your (?:unauthenticated )?pull rate limit|docker\.com/increase-rate-limit`)

// fromHub reports whether what was pulled has no registry in its name, which
// makes it Docker Hub's.
func (l *log) fromHub(h hit) bool {
	for _, i := range l.around(h.at, 8) {
		if hubImage.MatchString(l.lines[i].text) {
			return true
		}
	}
	return slices.ContainsFunc(l.command, hubImage.MatchString)
}

// notHosts are words that stand where names of hosts do.
var notHosts = map[string]bool{"error": true, "failed": true, "host": true, "hostname": true, "proxy": true, "address": true, "name": true, "all": true, "dependencies": true}

// hostIn returns the host that a line names as the one that was asked.
func hostIn(text string) string {
	for _, re := range named[:3] {
		if m := re.FindStringSubmatch(text); m != nil && !notHosts[strings.ToLower(m[1])] {
			return strings.ToLower(m[1])
		}
	}
	if u, ok := lastURL(text); ok {
		return u.host
	}
	for _, re := range named[3:] {
		if m := re.FindStringSubmatch(text); m != nil {
			return strings.ToLower(m[1])
		}
	}
	return ""
}

func imageHost(text string) string {
	if m := image.FindStringSubmatch(text); m != nil {
		return strings.ToLower(m[1])
	}
	return ""
}

// isNumber reports whether host is empty or an address in numbers.
func isNumber(host string) bool {
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "" || err == nil
}

// around lists the line at and its neighbours, nearest first, those before it
// first.
func (l *log) around(at, distance int) []int {
	near := []int{at}
	for d := 1; d <= distance; d++ {
		if at-d >= 0 {
			near = append(near, at-d)
		}
		if at+d < len(l.lines) {
			near = append(near, at+d)
		}
	}
	return near
}

// address is a URL in the text of an error.
type address struct{ host, path string }

// lastURL returns the innermost URL: wrapped errors put it last. Links to
// help pages are no places where anything was asked.
func lastURL(text string) (address, bool) {
	var found address
	ok := false
	for _, m := range urls.FindAllStringSubmatch(text, 20) {
		host, path := strings.ToLower(m[1]), m[3]
		if isHelp(host, path) {
			continue
		}
		port := m[2]
		if port == ":443" || port == ":80" {
			port = ""
		}
		found, ok = address{host + port, path}, true
	}
	return found, ok
}

func isHelp(host, path string) bool {
	if host == "www.docker.com" || strings.HasPrefix(host, "docs.") || strings.HasPrefix(host, "help.") || strings.HasPrefix(host, "errors.") {
		return true
	}
	path = strings.ToLower(path)
	for _, word := range []string{"/issues", "/docs/", "/troubleshooting", "/rate-limit", "increase-rate-limit", "/go/", "/wiki", "/help", "/confluence"} {
		if strings.Contains(path, word) && !strings.Contains(path, "/v2/") {
			return true
		}
	}
	return false
}

// own reports whether a host is of this machine, a private network, or a
// single word: none of a provider.
func own(host string) bool {
	if host == "" {
		return false
	}
	name := host
	if i := strings.LastIndexByte(name, ':'); i > 0 && !strings.HasSuffix(name, "]") {
		name = name[:i]
	}
	name = strings.Trim(name, "[]")
	if ip, err := netip.ParseAddr(name); err == nil {
		return ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast() || ip.IsUnspecified()
	}
	if !strings.Contains(name, ".") {
		return true
	}
	for _, suffix := range []string{".local", ".internal", ".localhost", ".lan", ".test", ".svc", ".localdomain"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

// maxShown bounds the text of an Evidence.
const maxShown = 600

// shown is a line as people may see it: without secrets, and not too long.
func shown(s string) string {
	s = redact.Text(s)
	if len(s) > maxShown {
		s = strings.ToValidUTF8(s[:maxShown/2], "") + " … " + strings.ToValidUTF8(s[len(s)-maxShown/2:], "")
	}
	return s
}
