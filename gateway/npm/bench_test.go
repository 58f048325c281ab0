package npm

import (
	"fmt"
	"strings"
	"testing"
)

// A document of the largest packages has thousands of versions.
func BenchmarkDocument(b *testing.B) {
	var doc strings.Builder
	doc.WriteString(`{"name":"left-pad","versions":{`)
	for i := range 4000 {
		if i > 0 {
			doc.WriteByte(',')
		}
		fmt.Fprintf(&doc, `"1.%d.0":{"name":"left-pad","version":"1.%d.0","dependencies":{%s},"dist":{"shasum":"%040d","tarball":"https://registry.example.com/left-pad/-/left-pad-1.%d.0.tgz"}}`,
			i, i, strings.Repeat(`"a":"1",`, 100)+`"b":"2"`, i, i)
	}
	doc.WriteString(`}}`)
	data := []byte(doc.String())
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		d, err := read(data)
		if err != nil {
			b.Fatal(err)
		}
		rewrite(data, d.releases, func(r release) string { return "http://127.0.0.1:5100/npm/" + r.version })
	}
}
