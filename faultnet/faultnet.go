// Package faultnet stands in for the services of the world and fails by
// script: registries, token endpoints, content networks and name servers that
// refuse, drop, hang, drip, reset, cut, lie or answer with a web page, at the
// very request that a [Script] names.
//
// A [Fault] is what goes wrong, a [Row] says at which requests, and a script is
// a list of rows. The same script plays on a [Service], which listens on
// loopback and serves any client, and on a [Transport], which needs no socket
// and runs on the fake clock of testing/synctest. Both write down everything
// they were asked.
//
// The package never rolls dice: the same requests in the same order meet the
// same faults. It never listens anywhere but where it was told to, and it
// never sends a request of its own accord: only [Proxy] passes on what it was
// asked.
package faultnet
