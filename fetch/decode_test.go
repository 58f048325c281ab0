package fetch_test

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/faultnet"
)

// zipped is b under gzip.
func zipped(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write(b)
	_ = z.Close()
	return out.Bytes()
}

func TestCompressedAnswers(t *testing.T) {
	const limit = 100_000
	want := bytes.Repeat([]byte("{}"), limit/2)
	good := zipped(want)
	for _, row := range []struct {
		name, coding string
		body         []byte
		kind         fault.Kind
	}{
		{"as they are", "", want, fault.None},
		{"as they are, said in words", "identity", want, fault.None},
		{"under gzip", "gzip", good, fault.None},
		{"under gzip by its old name", "X-GZIP", good, fault.None},
		{"in a coding that nobody asked for", "br", good, fault.Rejected},
		{"under gzip twice", "gzip, gzip", zipped(good), fault.Rejected},
		{"that are no gzip", "gzip", want, fault.Corrupt},
		{"that are spoiled", "gzip", spoil(good, len(good)-6), fault.Corrupt},
		{"that end too early", "gzip", good[:len(good)-5], fault.Truncated},
		{"that are nothing", "gzip", nil, fault.Truncated},
		{"that are more than the limit when they are decoded", "gzip", zipped(append(slices.Clone(want), ' ')), fault.TooLarge},
		{"that are a bomb", "gzip", zipped(make([]byte, 4<<20)), fault.TooLarge},
		{"that are a page when they are decoded", "gzip", zipped([]byte("<!DOCTYPE html><html></html>")), fault.HTML},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.add(coded(row.coding, row.body))
				w.add(coded("gzip", good))
				ask := w.ask()
				ask.Compressed, ask.Limit = true, limit
				got, err := w.fetch.Bytes(t.Context(), ask)
				if err != nil || !bytes.Equal(got.Body, want) || got.Size != limit || got.Header.Get("Content-Encoding") != "" {
					t.Errorf("got %d bytes of size %d in the coding %q, %v, want the plain ones", len(got.Body), got.Size, got.Header.Get("Content-Encoding"), err)
				}
				kinds := []string{"a.example " + kindName(row.kind)}
				if row.kind != fault.None {
					kinds = append(kinds, "b.example ok")
				}
				wantKinds(t, w, kinds...)
			})
		})
	}
}

// Who did not say that it takes a coding gets what came as it is: an archive
// may be called compressed, and its digest is of the archive.
func TestCodingsAreLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want := zipped([]byte("an archive"))
		w := newWorld(t)
		up := w.add(coded("gzip", want), faultnet.Row{})
		ask := w.ask()
		ask.Digest = digest.FromBytes(want)
		got, err := w.fetch.Bytes(t.Context(), ask)
		if err != nil || !bytes.Equal(got.Body, want) {
			t.Errorf("got %q, %v, want the archive", got.Body, err)
		}
		if len(up.Log()) != 1 {
			t.Errorf("got %v, want one request", up.Log())
		}
	})
}

// coded answers with body in a coding.
func coded(coding string, body []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if coding != "" {
			w.Header().Set("Content-Encoding", coding)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	})
}
