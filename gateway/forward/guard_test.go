package forward_test

import (
	"net/netip"
	"testing"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/gateway/forward"
)

func TestGuard(t *testing.T) {
	outer := forward.Guard{}
	inner := forward.Guard{Private: true}
	for _, tt := range []struct {
		address      string
		outer, inner bool
	}{
		{"192.0.2.1", true, true},
		{"2001:db8::1", true, true},
		{"10.1.2.3", false, true},
		{"172.31.255.255", false, true},
		{"172.32.0.1", true, true},
		{"192.168.0.1", false, true},
		{"100.64.0.1", false, true},
		{"fd00::1", false, true},
		{"127.0.0.1", false, false},
		{"127.8.9.10", false, false},
		{"0.0.0.0", false, false},
		{"169.254.169.254", false, false},
		{"224.0.0.1", false, false},
		{"255.255.255.255", false, false},
		{"::1", false, false},
		{"::", false, false},
		{"fe80::1", false, false},
		{"fe80::1%eth0", false, false},
		{"ff02::1", false, false},
		{"::ffff:127.0.0.1", false, false},
		{"::127.0.0.1", false, false},
		{"64:ff9b::7f00:1", false, false},
		{"64:ff9b::a00:1", false, true},
		{"64:ff9b::c000:201", true, true},
		{"2002:7f00:1::", false, false},
	} {
		a := netip.MustParseAddr(tt.address)
		if got := outer.Permit("host.example.com:80", a) == nil; got != tt.outer {
			t.Errorf("%s from outside: got %t, want %t", tt.address, got, tt.outer)
		}
		if got := inner.Permit("host.example.com:80", a) == nil; got != tt.inner {
			t.Errorf("%s from within: got %t, want %t", tt.address, got, tt.inner)
		}
	}
	if err := outer.Permit("x", netip.Addr{}); fault.Of(err) != fault.Config {
		t.Errorf("no address: got %v", err)
	}
}

func TestHostsThatTheUserNamed(t *testing.T) {
	g := forward.Guard{Hosts: []string{"Proxy.Internal", "build.internal:3128"}}
	loopback := netip.MustParseAddr("127.0.0.1")
	for host, want := range map[string]bool{
		"proxy.internal:80": true, "PROXY.internal:443": true, "proxy.internal": true,
		"build.internal:3128": true, "build.internal:80": false, "build.internal": false,
		"proxy.internal.example.com:80": false, "other:80": false,
	} {
		if got := g.Permit(host, loopback) == nil; got != want {
			t.Errorf("%s: got %t, want %t", host, got, want)
		}
	}
}
