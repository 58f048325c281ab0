package buildx

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"runtime"
	"strings"

	"github.com/outlast-build/outlast/engine"
)

var scheme = regexp.MustCompile(`^[a-z][a-z0-9+.-]*://`)

// Reaches reports whether the builder's daemon can connect to the loopback
// address of this host, where the gateway listens, and where it cannot: why. It
// goes by the kind of builder and asks nobody, so it may be wrong: a yes is
// corrected by a Result's GatewayUnreachable, which costs a tenth of a second.
func (b Builder) Reaches() (ok bool, why string) {
	if runtime.GOOS != "linux" && b.Driver != "remote" {
		return false, "its daemon runs in a virtual machine"
	}
	for _, n := range b.Nodes {
		if why := b.wall(n); why != "" {
			return false, why
		}
	}
	return true, ""
}

// wall says what stands between the node and this host's loopback, or "".
func (b Builder) wall(n Node) string {
	switch b.Driver {
	case "docker":
		return dockerWall(b.Docker)
	case "docker-container":
		if mode := n.Options["network"]; mode != "host" {
			return "its container has a network of its own"
		}
		return dockerWall(b.Docker)
	case "remote":
		return remoteWall(n.Endpoint)
	}
	return fmt.Sprintf("builders of driver %s run elsewhere", b.Driver)
}

func dockerWall(host string) string {
	switch {
	case strings.Contains(host, "/.docker/desktop/"), strings.Contains(host, "/.docker/run/"), strings.Contains(host, "/.colima/"),
		strings.Contains(host, "/.lima/"), strings.Contains(host, "/.orbstack/"):
		return "its daemon runs in a virtual machine"
	}
	return remoteWall(host)
}

// remoteWall judges an address: a socket in the file system is on this host,
// and so is a loopback address.
func remoteWall(address string) string {
	u, err := url.Parse(address)
	if err != nil || address == "" {
		return "its address is not known"
	}
	switch u.Scheme {
	case "unix", "npipe", "fd":
		return ""
	case "tcp", "http", "https":
		if ip := net.ParseIP(u.Hostname()); u.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
			return ""
		}
		return "it runs on another host"
	case "docker-container", "podman-container":
		return "its container has a network of its own"
	}
	return "it runs on another host"
}

// networkLabel is the label of a BuildKit worker that names the network of its
// steps: "host", "cni", "bridge", …. A Docker Engine's own has none.
const networkLabel = "org.mobyproject.buildkit.worker.network"

// Shares reports whether the steps of a build with --network of this value run
// in this host's network, so that they reach its loopback address, and if not,
// why.
func (b Builder) Shares(network string) (ok bool, why string) {
	if ok, why := b.Reaches(); !ok {
		return false, why
	}
	for _, n := range b.Nodes {
		if old(n.Version) {
			return false, "BuildKit " + n.Version + " does not know secrets as variables (it does from 0.16 on)"
		}
	}
	switch network {
	case "none":
		return false, "the steps have no network"
	case "host":
		return true, ""
	}
	for _, n := range b.Nodes {
		if n.Labels[networkLabel] != "host" {
			return false, "the builder's steps have a network of their own (--network=host shares this machine's)"
		}
	}
	return true, ""
}

var oldVersion = regexp.MustCompile(`^(v?0\.([1-9]|1[0-5])|1\d|2\d)\.`)

// old reports whether a BuildKit comes with a Dockerfile frontend before 1.10.
// A Docker Engine of those days says no version, or its own; one built from
// source says 0.0.0.
func old(version string) bool {
	return version == "" || oldVersion.MatchString(version)
}

// A witness knows the addresses of the gateway, and what a build says that
// could not connect to them.
type witness struct{ addresses []string }

func witnessOf(routes []engine.Route) witness {
	var w witness
	for _, r := range routes {
		address, _, _ := strings.Cut(r.Prefix, "/")
		w.addresses = append(w.addresses, address)
	}
	return w
}

// noConnection is what Go's dialer says after an address where nothing was.
var noConnection = []string{": connect: ", ": i/o timeout"}

// convicts reports whether the build failed since its builder could not connect
// to the gateway. The gateway answers for every source behind it, and its
// answers come over a connection: what could not be made is its own.
func (w witness) convicts(r engine.Result) bool {
	if r.Failure == nil {
		return false
	}
	texts := []string{r.Failure.Message}
	for _, s := range r.Steps {
		texts = append(texts, s.Error)
	}
	for _, t := range texts {
		for _, a := range w.addresses {
			for _, how := range noConnection {
				if strings.Contains(t, "dial tcp "+a+how) {
					return true
				}
			}
		}
	}
	return false
}
