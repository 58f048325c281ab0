package main

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"

	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/internal/testenv/cloud"
)

// A service is one registry of the network, with how it fails.
type service struct {
	registry string // whose content it has
	role     string // "origin" or "mirror"
	last     byte   // of its address, 127.0.0.x
	tags     bool   // outlast's settings trust it for tags
	fails    string // for people
	script   faultnet.Script

	place *cloud.Place
}

// services are the network: for each registry its origin, then its mirrors in
// their order.
var services = []service{
	{registry: "docker.io", role: "origin", last: 11, fails: "takes requests and never answers",
		script: faultnet.Always(faultnet.Hang())},
	{registry: "docker.io", role: "mirror", last: 12, fails: "spoils a byte of every layer",
		script: faultnet.At(faultnet.Blob, faultnet.WrongByte())},
	{registry: "docker.io", role: "mirror", last: 13, tags: true, fails: "is well"},
	{registry: "gcr.io", role: "origin", last: 21, fails: "sends status 400 and a web page",
		script: faultnet.Always(faultnet.StatusHTML(400, ""))},
	{registry: "gcr.io", role: "mirror", last: 22, tags: true, fails: "is well"},
}

// A network is the services while they run.
type network struct {
	*cloud.Cloud
	services []service
}

// startNetwork starts all services, well.
func startNetwork(ctx context.Context, dir string) (*network, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	c, err := cloud.Start(ctx, filepath.Join(dir, "cloud"))
	if err != nil {
		return nil, err
	}
	n := &network{Cloud: c, services: append([]service(nil), services...)}
	for i := 0; i < len(n.services); {
		var options []cloud.PlaceOptions
		first := i
		for ; i < len(n.services) && n.services[i].registry == n.services[first].registry; i++ {
			s := n.services[i]
			options = append(options, cloud.PlaceOptions{Listen: s.address(port), Tags: s.tags})
		}
		site, err := c.Site(n.services[first].registry, options[0], options[1:]...)
		if err != nil {
			c.Close()
			return nil, err
		}
		n.services[first].place = site.Origin
		for j, m := range site.Mirrors {
			n.services[first+1+j].place = m
		}
	}
	return n, nil
}

func (s service) address(port int) string { return fmt.Sprintf("127.0.0.%d:%d", s.last, port) }

// ports are tried in turn, in case that somebody else listens there.
var ports = []int{5000, 5001, 5002, 5003, 5004, 5005, 5006, 5007, 5008, 5009}

// freePort returns a port that is free at the addresses of all services.
func freePort() (int, error) {
	var last error
	for _, port := range ports {
		if last = free(port); last == nil {
			return port, nil
		}
	}
	return 0, fmt.Errorf("find a port for the services: %w", last)
}

func free(port int) error {
	for _, s := range services {
		l, err := net.Listen("tcp", s.address(port))
		if err != nil {
			return err
		}
		l.Close()
	}
	return nil
}

// fail makes every service fail by its script.
func (n *network) fail() error {
	for _, s := range n.services {
		if err := s.place.Play(s.script); err != nil {
			return err
		}
	}
	return nil
}

// down makes every service refuse connections.
func (n *network) down() error {
	for _, s := range n.services {
		if err := s.place.Play(faultnet.Always(faultnet.Refuse())); err != nil {
			return err
		}
	}
	return nil
}

// table lists the services and how they fail.
func (n *network) table() string {
	var b strings.Builder
	registry := ""
	for _, s := range n.services {
		name := ""
		if s.registry != registry {
			registry, name = s.registry, s.registry
		}
		fmt.Fprintf(&b, "%-10s %s  %-16s  %s\n", name, s.role, s.place.Host(), s.fails)
	}
	return b.String()
}

// who names the services whose addresses stand in a line: "docker.io's origin".
func (n *network) who(line string) []string {
	var names []string
	for _, s := range n.services {
		if strings.Contains(line, s.place.Host()) {
			names = append(names, s.registry+"'s "+s.role)
		}
	}
	return names
}

// originsOnly is what buildkitd has to be told so that docker.io and gcr.io
// stand for their origins here, and nothing else.
func (n *network) originsOnly() string {
	var b strings.Builder
	for _, s := range n.services {
		if s.role == "origin" {
			fmt.Fprintf(&b, "[registry.%q]\n  mirrors = [%q]\n[registry.%q]\n  http = true\n", s.registry, s.place.Host(), s.place.Host())
		}
	}
	return b.String()
}
