package gomod

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
	"golang.org/x/mod/sumdb/dirhash"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/gateway"
)

func wrong(format string, args ...any) error {
	return &fault.Error{Op: "verify", Kind: fault.Corrupt, Err: fmt.Errorf(format, args...)}
}

// checkList judges a list of versions: one a line. Proxies may list none, and
// may write the time behind a version.
func checkList(q request, body []byte) error {
	for line := range bytes.Lines(body) {
		version, _, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		if version != "" && !semver.IsValid(version) {
			return wrong("the list has %.40q, which is no version", version)
		}
	}
	return nil
}

// info is what a proxy says of a version.
type info struct {
	Version string
	Time    time.Time
}

func readInfo(q request, body []byte) (info, error) {
	var i info
	if err := json.Unmarshal(body, &i); err != nil {
		return i, wrong("no JSON as proxies have it: %v", err)
	}
	if err := module.Check(q.module, i.Version); err != nil || !canonical(i.Version) {
		return i, wrong("%.80q is no version of %s", i.Version, q.module)
	}
	if !q.moves() && i.Version != q.version {
		return i, wrong("it tells of %s, not of %s", i.Version, q.version)
	}
	return i, nil
}

func checkInfo(q request, body []byte) error {
	_, err := readInfo(q, body)
	return err
}

// A judgement reads a file of a module's version. It returns what the checksum
// database knows the file by, or "", and what the file is known by from then on.
type judgement func(q request, r io.ReaderAt, size int64) (sum, mark string, err error)

var judgements = map[*kind]judgement{infoKind: judgeInfo, modKind: judgeMod, zipKind: judgeZip}

func judgeInfo(q request, r io.ReaderAt, size int64) (sum, mark string, err error) {
	body, err := io.ReadAll(io.NewSectionReader(r, 0, size))
	if err != nil {
		return "", "", err
	}
	i, err := readInfo(q, body)
	// Proxies add more, each of its own: where the commit was found.
	return "", i.Version + " " + i.Time.UTC().Format(time.RFC3339), err
}

func judgeMod(q request, r io.ReaderAt, size int64) (sum, mark string, err error) {
	body, err := io.ReadAll(io.NewSectionReader(r, 0, size))
	if err != nil {
		return "", "", err
	}
	if _, err := modfile.ParseLax("go.mod", body, nil); err != nil {
		return "", "", wrong("no go.mod file: %v", err)
	}
	sum, err = dirhash.Hash1([]string{"go.mod"}, func(string) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(body)), nil
	})
	return sum, sum, err
}

// prover judges the file that q asks for: it must be what its path says, and
// what the checksum database has, where that can be proved.
func (p *Protocol) prover(q request) gateway.Prove {
	return func(ctx context.Context, r io.ReaderAt, size int64) (gateway.Proof, error) {
		sum, mark, err := judgements[q.kind](q, r, size)
		if err != nil || sum == "" {
			return gateway.Proof{Mark: mark}, err
		}
		want, err := p.known(ctx, q)
		if err != nil {
			// Nobody vouches for it: it is believed as far as its sender is.
			return gateway.Proof{Mark: mark}, nil
		}
		if want != sum {
			return gateway.Proof{}, wrong("it has the hash %s, and the checksum database has %s", sum, want)
		}
		return gateway.Proof{Mark: mark, Sure: true}, nil
	}
}
