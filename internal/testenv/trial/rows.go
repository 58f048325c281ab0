// Package trial has the table of outages, and runs its rows: each is a small
// network of registries in which something fails, a fresh BuildKit, and a build
// by stock buildx or by Outlast. The end-to-end tests and the program that
// writes the table for people share it.
package trial

import (
	"time"

	"github.com/outlast-build/outlast/faultnet"
)

// A Where says which of a row's registries fail.
type Where string

// The places of failures. But for Alone there is a second mirror, which is
// well.
const (
	Mirror Where = "the first mirror"
	Origin Where = "the origin"
	Both   Where = "the first mirror and the origin"
	Alone  Where = "the only registry" // for a moment: there is no mirror
)

// Service is the place of failures that come before a request can be read.
const Service faultnet.Place = ""

// A Row is one outage.
type Row struct {
	Fault string         // for people: what the failing services do
	Place faultnet.Place // the requests that fail
	Where Where
	No    bool // the origin says that there is no such image: no outage, and nothing to survive

	failure failure
}

// String names the row: "blob, first mirror: hang".
func (r Row) String() string {
	place := string(r.Place)
	if r.Place == Service {
		place = "connection"
	}
	return place + " at " + string(r.Where) + ": " + r.Fault
}

// A failure is one way to fail, in the places where it can.
type failure struct {
	name   string
	places []faultnet.Place
	fault  func(sizes) faultnet.Fault
	method string              // of the requests that it strikes; empty means each
	on     faultnet.Occurrence // which of them
	host   string              // the service has this name in place of its own address
	https  bool                // the service is addressed by https://
}

// sizes are those of a place's content that faults need.
type sizes struct {
	half int64 // a number of bytes about in its middle
	drip int64 // bytes a second, at which it takes over half a minute
}

var sizesAt = map[faultnet.Place]sizes{
	faultnet.Manifest: {150, 10},
	faultnet.Config:   {150, 10},
	faultnet.Blob:     {600e3, 20e3},
	faultnet.Token:    {20, 5},
}

var (
	service = []faultnet.Place{Service, faultnet.Token}
	answers = []faultnet.Place{faultnet.Tag, faultnet.Manifest, faultnet.Config, faultnet.Blob, faultnet.Token}
	bodies  = answers[1:]
	proved  = answers[1:4] // what a digest is known for
	token   = answers[4:]
)

func always(f faultnet.Fault) func(sizes) faultnet.Fault {
	return func(sizes) faultnet.Fault { return f }
}

const manifestType = "application/vnd.oci.image.index.v1+json"

// Well is the row in which nothing fails, to compare with.
func Well() Row { return Row{Fault: "nothing: all is well", Where: Mirror} }

// failures are all ways to fail, in the order of the table.
var failures = []failure{
	{name: "its name does not exist", places: service, host: NoName, https: true},
	{name: "its name server is ill", places: service, host: IllName, https: true},
	{name: "its name server is silent", places: service, host: SilentName, https: true},
	{name: "refuses connections", places: service, fault: always(faultnet.Refuse())},
	{name: "does not answer a connection (SYN dropped)", places: service, fault: always(faultnet.DropSYN())},
	{name: "hangs in the TLS handshake", places: service, fault: always(faultnet.HangTLS()), https: true},

	{name: "never answers", places: answers, fault: always(faultnet.Hang())},
	{name: "stalls in the middle", places: bodies, fault: func(s sizes) faultnet.Fault { return faultnet.HangAfter(s.half) }},
	{name: "drips", places: bodies, fault: func(s sizes) faultnet.Fault { return faultnet.Drip(s.drip) }},
	{name: "resets before the answer", places: answers, fault: always(faultnet.Reset())},
	{name: "resets in the middle", places: bodies, fault: func(s sizes) faultnet.Fault { return faultnet.ResetAfter(s.half) }},
	{name: "closes without an answer", places: answers, fault: always(faultnet.NoAnswer())},
	{name: "ends before the first byte", places: bodies, fault: always(faultnet.CloseAt0())},
	{name: "ends in the middle", places: bodies, fault: func(s sizes) faultnet.Fault { return faultnet.CutAfter(s.half) }},

	{name: "wrong bytes", places: bodies, fault: always(faultnet.WrongByte())},
	{name: "wrong bytes, once", places: proved, fault: always(faultnet.WrongByte()), method: "GET", on: faultnet.First(1)},
	{name: "length too small", places: bodies, fault: always(faultnet.WrongLength(-10))},
	{name: "length too large", places: bodies, fault: always(faultnet.WrongLength(10))},

	{name: "503", places: answers, fault: always(faultnet.Status(503))},
	{name: "503 with a page", places: answers, fault: always(faultnet.StatusHTML(503, ""))},
	{name: "502", places: answers, fault: always(faultnet.Status(502))},
	{name: "502 with a page", places: answers, fault: always(faultnet.StatusHTML(502, ""))},
	{name: "500", places: answers, fault: always(faultnet.Status(500))},
	{name: "400", places: answers, fault: always(faultnet.Status(400))},
	{name: "400 with a page", places: answers, fault: always(faultnet.StatusHTML(400, ""))},
	{name: "403", places: answers, fault: always(faultnet.Status(403))},
	{name: "403 with a page", places: answers, fault: always(faultnet.StatusHTML(403, ""))},
	{name: "404", places: answers, fault: always(faultnet.Status(404))},
	{name: "404 with a page", places: answers, fault: always(faultnet.StatusHTML(404, ""))},
	{name: "429, Retry-After 5 s", places: answers, fault: always(faultnet.TooMany(5 * time.Second))},
	{name: "429 with a page", places: answers, fault: always(faultnet.StatusHTML(429, ""))},
	{name: "200 with a page", places: answers, fault: always(faultnet.OKHTML())},
	{name: "200 with a page, said to be JSON", places: answers, fault: always(faultnet.OKHTMLAs("application/json"))},
	{name: "200 with a page, said to be a manifest", places: answers[:2], fault: always(faultnet.OKHTMLAs(manifestType))},
	{name: "200 with a page, said to be octets", places: proved, fault: always(faultnet.OKHTMLAs("application/octet-stream"))},
	{name: "HEAD is well, GET gives a page", places: answers[:2], fault: always(faultnet.OKHTML()), method: "GET"},

	{name: "401", places: token, fault: always(faultnet.Status(401))},
	{name: "200 without a token", places: token, fault: always(faultnet.StatusBody(200, "application/json", "{}"))},
	{name: "200 with a token that is refused", places: token,
		fault: always(faultnet.StatusBody(200, "application/json", `{"token":"bogus","access_token":"bogus"}`))},
}

// moments are failures of a registry that is alone and well again after them:
// nobody else can help, only another try.
var moments = []failure{
	{name: "resets once", places: answers, fault: always(faultnet.Reset()), on: faultnet.First(1)},
	{name: "never answers once", places: answers, fault: always(faultnet.Hang()), on: faultnet.First(1)},
	{name: "stalls in the middle once", places: proved, fault: func(s sizes) faultnet.Fault { return faultnet.HangAfter(s.half) }, on: faultnet.First(1)},
	{name: "503 twice", places: answers, fault: always(faultnet.Status(503)), on: faultnet.First(2)},
	{name: "502 once", places: answers, fault: always(faultnet.Status(502)), on: faultnet.First(1)},
	{name: "400 with a page once", places: answers, fault: always(faultnet.StatusHTML(400, "")), on: faultnet.First(1)},
	{name: "200 with a page once", places: answers, fault: always(faultnet.OKHTML()), on: faultnet.First(1)},
	{name: "429, Retry-After 1 s, twice", places: answers, fault: always(faultnet.TooMany(time.Second)), on: faultnet.First(2)},
	{name: "wrong bytes once", places: proved, fault: always(faultnet.WrongByte()), method: "GET", on: faultnet.First(1)},
}

// Rows lists all outages, by place, then by failure, then by where.
func Rows() []Row {
	var rows []Row
	for _, place := range append([]faultnet.Place{Service}, answers...) {
		rows = append(rows, rowsAt(place, failures, Mirror, Origin, Both)...)
		rows = append(rows, rowsAt(place, moments, Alone)...)
	}
	return rows
}

func rowsAt(place faultnet.Place, list []failure, wheres ...Where) []Row {
	var rows []Row
	for _, f := range list {
		for _, p := range f.places {
			if p != place {
				continue
			}
			for _, w := range wheres {
				rows = append(rows, Row{Fault: f.name, Place: place, Where: w, No: no(place, w, f.name), failure: f})
			}
		}
	}
	return rows
}

// no reports whether a failure is the origin's own word that there is no such
// image. Who believes a mirror then could be given an image that was taken
// back.
func no(place faultnet.Place, w Where, name string) bool {
	if w != Origin && w != Both {
		return false
	}
	return place == faultnet.Tag && name == "404"
}
