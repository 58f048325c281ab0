package faultnet_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/faultnet"
)

func TestDNSFailsByScript(t *testing.T) {
	d := &faultnet.DNS{Names: map[string][]netip.Addr{
		"registry.example.com": {netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("::1")},
		"six.example.com":      {netip.MustParseAddr("::1")},
	}}
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	every := func(f faultnet.DNSFault) faultnet.DNSScript { return faultnet.DNSScript{{Fault: f}} }
	for _, tt := range []struct {
		name   string
		script faultnet.DNSScript
		ask    string
		want   []string
		kind   fault.Kind
		gone   bool // the answer is a definite no
	}{
		{"a name that is there", nil, "registry.example.com", []string{"127.0.0.1", "127.0.0.2", "::1"}, "", false},
		{"capitals", nil, "Registry.Example.COM", []string{"127.0.0.1", "127.0.0.2", "::1"}, "", false},
		{"a name with addresses of one family", nil, "six.example.com", []string{"::1"}, "", false},
		{"a name that is not there", nil, "nowhere.example.com", nil, fault.DNS, true},
		{"NXDOMAIN", every(faultnet.NXDOMAIN()), "registry.example.com", nil, fault.DNS, true},
		{"SERVFAIL", every(faultnet.SERVFAIL()), "registry.example.com", nil, fault.DNS, false},
		{"REFUSED", every(faultnet.DNSRefused()), "registry.example.com", nil, fault.DNS, false},
		{"silence", every(faultnet.DNSSilence()), "registry.example.com", nil, fault.DNS, false},
		{"truncated over UDP", every(faultnet.DNSTruncated()), "registry.example.com", []string{"127.0.0.1", "127.0.0.2", "::1"}, "", false},
		{"slow", every(faultnet.DNSSlow(30 * time.Millisecond)), "registry.example.com", []string{"127.0.0.1", "127.0.0.2", "::1"}, "", false},
		{"another name fails", faultnet.DNSScript{{Name: "mirror.example.com", Fault: faultnet.SERVFAIL()}}, "six.example.com", []string{"::1"}, "", false},
		{"one type fails", faultnet.DNSScript{{Type: "A", Fault: faultnet.NXDOMAIN()}}, "registry.example.com", []string{"::1"}, "", false},
		{"only the first query of each type fails, and the resolver asks again",
			faultnet.DNSScript{{Type: "A", On: faultnet.First(1), Fault: faultnet.SERVFAIL()}, {Type: "AAAA", On: faultnet.First(1), Fault: faultnet.SERVFAIL()}},
			"six.example.com", []string{"::1"}, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d.Play(tt.script)
			ctx, cancel := context.WithTimeout(t.Context(), brief)
			defer cancel()
			got, err := d.Resolver().LookupHost(ctx, tt.ask)
			slices.Sort(got)
			if !slices.Equal(got, tt.want) || fault.Of(err) != tt.kind {
				t.Fatalf("got %v and %v, want %v and %q", got, err, tt.want, tt.kind)
			}
			var dns *net.DNSError
			if errors.As(err, &dns) && dns.IsNotFound != tt.gone {
				t.Errorf("got %v, want a definite no: %v", err, tt.gone)
			}
			if len(d.Log()) == 0 {
				t.Error("got nothing in the log")
			}
		})
	}
}

func TestTheDNSLogSaysWhatWasAsked(t *testing.T) {
	d := &faultnet.DNS{Script: faultnet.DNSScript{{Fault: faultnet.DNSTruncated()}},
		Names: map[string][]netip.Addr{"a.example.com": {netip.MustParseAddr("127.0.0.1")}}}
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Resolver().LookupNetIP(t.Context(), "ip4", "a.example.com"); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, q := range d.Log() {
		got = append(got, q.Network+" "+q.Type+" "+q.Name+" "+q.Fault.String())
	}
	if want := []string{"udp A a.example.com truncated", "tcp A a.example.com truncated"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestClosingADNSEndsWhatIsSlow(t *testing.T) {
	d := &faultnet.DNS{Script: faultnet.DNSScript{{Fault: faultnet.DNSSlow(time.Hour)}}}
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	second := &faultnet.DNS{Listen: d.Host()}
	if err := second.Start(); err == nil {
		t.Error("got no error for a port that is taken")
	}
	idle, err := net.Dial("tcp", d.Host())
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	ctx, cancel := context.WithTimeout(t.Context(), brief)
	defer cancel()
	d.Resolver().LookupHost(ctx, "registry.example.com")
	begun := time.Now()
	for range 2 {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	if took := time.Since(begun); took > time.Second {
		t.Errorf("got %v to close, want it at once", took)
	}
}
