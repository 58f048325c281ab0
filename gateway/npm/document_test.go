package npm

import (
	"bytes"
	"encoding/json"
	"testing"
)

const documentSample = `{ "name":"left-pad", "readme":"\"tarball\": {[ \\", "dist-tags":{"latest":"1.0.0"}, "x":[{"versions":{"9.9.9":{"dist":{"tarball":"no"}}}}],
 "versions" : {"1.0.0":{"name":"left-pad","dist":{"shasum":"0123456789012345678901234567890123456789", "tarball" : "https://registry.example.com/left-pad/-/left-pad-1.0.0.tgz" ,
 "signatures":[{"sig":"a\u0022b"}]},"n":1e9}, "1.1.0":{"dist":{"tarball":"https:\/\/registry.example.com\/a","integrity":"sha512-x"}}, "2.0.0":{}, "3.0.0":null},"time":{"unpublished":null}}`

func TestReadAndRewrite(t *testing.T) {
	d, err := read([]byte(documentSample))
	if err != nil {
		t.Fatal(err)
	}
	if d.name != "left-pad" || len(d.releases) != 2 {
		t.Fatalf("got %q with %d archives, want left-pad with 2: %+v", d.name, len(d.releases), d)
	}
	if r := d.releases[0]; r.version != "1.0.0" || r.tarball != "https://registry.example.com/left-pad/-/left-pad-1.0.0.tgz" || r.integrity != "sha1-ASNFZ4kBI0VniQEjRWeJASNFZ4k=" {
		t.Errorf("got %+v", r)
	}
	if r := d.releases[1]; r.tarball != "https://registry.example.com/a" {
		t.Errorf("got %+v, want the escapes read", r)
	}
	got := rewrite([]byte(documentSample), d.releases, func(r release) string { return "http://gateway/" + r.version })
	want := bytes.Replace([]byte(documentSample), []byte(`"https://registry.example.com/left-pad/-/left-pad-1.0.0.tgz"`), []byte(`"http://gateway/1.0.0"`), 1)
	want = bytes.Replace(want, []byte(`"https:\/\/registry.example.com\/a"`), []byte(`"http://gateway/1.1.0"`), 1)
	if !bytes.Equal(got, want) {
		t.Errorf("got %s, want every other byte as it was: %s", got, want)
	}
}

// last is what a client reads: the last of two values of one key counts.
func last(t *testing.T, data []byte) (name string, archives map[string]string) {
	type object = map[string]json.RawMessage
	into := func(raw json.RawMessage) object {
		var o object
		_ = json.Unmarshal(raw, &o)
		return o
	}
	text := func(raw json.RawMessage) string {
		var s string
		_ = json.Unmarshal(raw, &s)
		return s
	}
	archives = make(map[string]string)
	top := into(data)
	for version, v := range into(top["versions"]) {
		if t := text(into(into(v)["dist"])["tarball"]); t != "" {
			archives[version] = t
		}
	}
	return text(top["name"]), archives
}

// Whatever a document looks like, it reads as clients read it, and no byte but
// those of the addresses changes.
func FuzzDocument(f *testing.F) {
	f.Add([]byte(documentSample))
	f.Add([]byte(`{"name":"a","name":"b","versions":{"1":{"dist":{"tarball":"x"}},"1":{"dist":{"tarball":"y","tarball":"z"}}}}`))
	f.Add([]byte(`{"versions":{"1":{"dist":{"tarball":"x"},"dist":{}}}}`))
	f.Add([]byte(`{"name":"a","version":"1.0.0","dist":{"tarball":"x"}}`))
	f.Add([]byte(`[]`))
	f.Add([]byte(`{"versions":{"\ud800":{"dist":{"tarball":"\u0041"}}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := read(data)
		if err != nil {
			return
		}
		if got := rewrite(data, d.releases, func(release) string { return "" }); !bytes.Equal(got, data) {
			t.Errorf("got %q, want %q as it was", got, data)
		}
		got := rewrite(data, d.releases, func(r release) string { return "to/" + r.version })
		if !json.Valid(got) {
			t.Fatalf("got %q from %q, want JSON", got, data)
		}
		name, archives := last(t, data)
		if name != d.name {
			t.Errorf("got the name %q of %q, want %q", d.name, data, name)
		}
		_, led := last(t, got)
		for version := range archives {
			if led[version] != "to/"+version {
				t.Errorf("%q: version %q leads to %q", data, version, led[version])
			}
		}
	})
}

func TestIntegrity(t *testing.T) {
	const sha1, sha512 = "sha1-ASNFZ4kBI0VniQEjRWeJASNFZ4k=", "sha512-CQpnWPrDwmP1+SMHXZhtLtJv90yiyVfluGsX5iNCVkrhQtU3TQHsUWPG9wkdk9Lgd5yNpAg9jQEo90CBaXgWMA=="
	for _, tt := range []struct {
		name, field, want string
	}{
		{"one hash", sha512, "sha512"},
		{"several: the strongest counts", sha1 + "  " + sha512 + "?option", "sha512"},
		{"an old one alone", sha1, "sha1"},
		{"too short for what it says it is", "sha512-ASNFZ4kBI0VniQEjRWeJASNFZ4k=", ""},
		{"no base64", "sha1-????", ""},
		{"an algorithm that nobody has", "md5-ASNFZ4kBI0VniQEjRWeJASNFZ4k=", ""},
		{"nothing", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if s, _ := strongest(tt.field); s.name != tt.want {
				t.Errorf("got %q, want %q", s.name, tt.want)
			}
		})
	}
	other := "sha1-AAAAAAAAAAAAAAAAAAAAAAAAAAA="
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{sha1, sha1 + " " + sha512, true}, {sha1, other, false}, {sha512 + " " + sha1, sha512 + " " + other, false},
		{sha512, sha1, false}, {sha512, "", false},
	} {
		if got := agree(tt.a, tt.b); got != tt.want {
			t.Errorf("%q and %q: got %v, want %v", tt.a, tt.b, got, tt.want)
		}
	}
}
