package oci

import (
	"net"

	"golang.org/x/net/publicsuffix"
)

// sameFamily reports whether two host names belong to one registered domain
// (auth.docker.io and registry-1.docker.io do). Addresses have no family, and
// neither have names right below a public suffix, such as those that one cloud
// gives to many customers.
func sameFamily(a, b string) bool {
	if net.ParseIP(a) != nil || net.ParseIP(b) != nil {
		return false
	}
	one, err := publicsuffix.EffectiveTLDPlusOne(a)
	if err != nil {
		return false
	}
	other, err := publicsuffix.EffectiveTLDPlusOne(b)
	return err == nil && one == other
}
