package daemon

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/outlast-build/outlast/fault"
)

// healthLimit is how long a gateway on this machine may take to answer what
// needs neither disk nor network.
const healthLimit = 3 * time.Second

// Health asks the gateway that listens on address, as the settings have it, on
// this machine, and returns nil where it answers as one does.
func Health(ctx context.Context, address string) error {
	address = own(address)
	ctx, cancel := context.WithTimeout(ctx, healthLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/v2/", nil)
	if err != nil {
		return &fault.Error{Op: "ask the gateway", Endpoint: address, Kind: fault.Config, Err: err}
	}
	// Proxies of the environment are for other machines.
	resp, err := new(http.Transport).RoundTrip(req)
	if err != nil {
		return &fault.Error{Op: "ask the gateway", Endpoint: address, Kind: fault.Of(err), Err: bare(err)}
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return &fault.Error{Op: "ask the gateway", Endpoint: address, Kind: cmp.Or(fault.OfStatus(resp.StatusCode), fault.Outage), Err: fmt.Errorf("answers %s", resp.Status)}
	}
	return nil
}

// own returns how this machine reaches what listens on address: every address
// of a machine includes its loopback.
func own(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case host == "", err == nil && ip.Is4() && ip.IsUnspecified():
		host = "127.0.0.1"
	case err == nil && ip.IsUnspecified():
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}
