package outlast

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/outlast-build/outlast/gateway"
	"github.com/outlast-build/outlast/gateway/gomod"
	"github.com/outlast-build/outlast/gateway/npm"
	"github.com/outlast-build/outlast/gateway/pypi"
	"github.com/outlast-build/outlast/internal/config"
)

// PackageSources say where packages may be had. What is empty is not served.
type PackageSources struct {
	Go  gomod.Settings
	NPM npm.Settings
	Apt []gateway.Site
	Apk []gateway.Site

	// Files are web servers that ADD may ask, and their mirrors.
	Files []gateway.Site

	Python pypi.Settings

	// Hosts are those that the proxy may connect to wherever they are: what
	// the user has named.
	Hosts []string
}

// FindPackages reads the settings, and what the package managers of this
// machine are set to where those say nothing: at most a second is spent on
// asking them. Only the managers that are named are looked for; nil means all.
func FindPackages(ctx context.Context, s config.Settings, env []string, managers map[string]bool) PackageSources {
	if env == nil {
		env = os.Environ()
	}
	if managers == nil {
		managers = map[string]bool{"go": true, "npm": true, "apt": true, "pip": true}
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	c := clients{ctx, env}
	var p PackageSources
	var both sync.WaitGroup
	if managers["go"] {
		both.Go(func() { p.Go = c.goSettings(s.Packages.Go) })
	}
	if managers["npm"] || managers["pnpm"] || managers["yarn"] {
		both.Go(func() { p.NPM = c.npmSettings(s.Packages) })
	}
	if managers["pip"] || managers["uv"] {
		p.Python = c.pipSettings(s.Packages.Pip)
	}
	both.Wait()
	p.Apt, p.Apk, p.Files = sitesOf(s.Packages.Apt), sitesOf(s.Packages.Apk), sitesOf(s.Packages.Files)
	p.Hosts = append(slices.Clone(s.Packages.Hosts), meant(slices.Concat(p.Apt, p.Apk, p.Files))...)
	return p
}

// sitesOf reads PLACE=ADDRESS.
func sitesOf(list []string) []gateway.Site {
	var sites []gateway.Site
	for _, one := range list {
		place, at, _ := strings.Cut(one, "=")
		i := slices.IndexFunc(sites, func(site gateway.Site) bool { return site.Place == place })
		if i < 0 {
			sites = append(sites, gateway.Site{Place: place})
			i = len(sites) - 1
		}
		sites[i].Mirrors = append(sites[i].Mirrors, at)
	}
	return sites
}

// goSettings are those of the go command, with other proxies if there are any.
// A proxy's login stays with this process.
func (c clients) goSettings(proxies []string) gomod.Settings {
	names := []string{"GOPROXY", "GOSUMDB", "GONOPROXY", "GONOSUMDB", "GOROOT"}
	set := make(map[string]string)
	if out, err := c.output("go", append([]string{"env"}, names...)...); err == nil {
		for i, line := range strings.Split(out, "\n") {
			if i < len(names) {
				set[names[i]] = strings.TrimSpace(line)
			}
		}
	} else {
		private := c.first([]string{"GOPRIVATE"})
		set = map[string]string{"GOPROXY": c.first([]string{"GOPROXY"}), "GOSUMDB": c.first([]string{"GOSUMDB"}),
			"GONOPROXY": cmp.Or(c.first([]string{"GONOPROXY"}), private), "GONOSUMDB": cmp.Or(c.first([]string{"GONOSUMDB"}), private)}
	}
	if len(proxies) == 0 {
		for _, u := range proxyList(cmp.Or(set["GOPROXY"], goProxy)) {
			proxies = append(proxies, u.String())
		}
	}
	return gomod.Settings{Proxies: proxies, SumDB: withSumKey(set["GOSUMDB"], set["GOROOT"]), Private: set["GONOPROXY"], NoSum: set["GONOSUMDB"]}
}

func (c clients) npmSettings(s config.Packages) npm.Settings {
	own := npm.Settings{Private: s.Private}
	if len(s.NPM) > 0 {
		own.Registry, own.Mirrors = s.NPM[0], s.NPM[1:]
		return own
	}
	at := address(c.first([]string{"npm_config_registry", "NPM_CONFIG_REGISTRY"}, "npm", "config", "get", "registry"))
	if at != nil && at.User == nil {
		own.Registry = at.String()
	}
	return own
}

// pipSettings are those of the environment where there are no others.
func (c clients) pipSettings(indexes []string) pypi.Settings {
	if len(indexes) > 0 {
		return pypi.Settings{Index: indexes[0], Mirrors: indexes[1:]}
	}
	if at := address(c.first([]string{"PIP_INDEX_URL"})); at != nil && at.User == nil {
		return pypi.Settings{Index: at.String()}
	}
	return pypi.Settings{}
}

// meant are the hosts of mirrors, and of the proxies that this process itself
// goes by.
func meant(sites []gateway.Site) []string {
	var hosts []string
	for _, s := range sites {
		for _, m := range s.Mirrors {
			if u := address(m); u != nil {
				hosts = append(hosts, u.Host)
			}
		}
	}
	for _, scheme := range []string{"http", "https"} {
		r := &http.Request{URL: &url.URL{Scheme: scheme, Host: "host.invalid"}}
		if u, err := http.ProxyFromEnvironment(r); err == nil && u != nil {
			hosts = append(hosts, u.Host, net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "80")))
		}
	}
	return hosts
}
