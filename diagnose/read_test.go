package diagnose_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/outlast-build/outlast/diagnose"
	"github.com/outlast-build/outlast/fault"
)

// One failure in every dress in which logs come: the diagnosis must not
// depend on it.
func TestDress(t *testing.T) {
	plain := []string{
		"#8 [build 3/4] RUN npm ci",
		"#8 12.34 npm error code ECONNRESET",
		`#8 ERROR: process "/bin/sh -c npm ci" did not complete successfully: exit code: 1`,
	}
	dress := func(f func(i int, line string) string) string {
		var b strings.Builder
		for i, line := range plain {
			b.WriteString(f(i, line) + "\n")
		}
		return b.String()
	}
	for name, text := range map[string]string{
		"BuildKit, plain":   dress(func(_ int, l string) string { return l }),
		"Windows line ends": dress(func(_ int, l string) string { return l + "\r" }),
		"GitHub's times":    dress(func(i int, l string) string { return fmt.Sprintf("2026-01-02T03:04:0%d.1234567Z %s", i, l) }),
		"gh run view --log-failed": dress(func(i int, l string) string {
			return fmt.Sprintf("build\tBuild image\t\ufeff2026-01-02T03:04:0%d.1234567Z %s", i, l)
		}),
		"GitHub's error marks":      dress(func(_ int, l string) string { return "##[error]" + l }),
		"GitLab's sections":         "\x1b[0Ksection_start:1700000000:build\r\x1b[0K" + dress(func(_ int, l string) string { return "\x1b[0;m" + l + "\x1b[0;m" }),
		"Jenkins' times":            dress(func(_ int, l string) string { return "[2026-01-02T03:04:05.678Z] " + l }),
		"Jenkins' short times":      dress(func(_ int, l string) string { return "03:04:05  " + l }),
		"compose":                   dress(func(_ int, l string) string { return "web-1  | " + l }),
		"colours":                   dress(func(_ int, l string) string { return "\x1b[31m" + l + "\x1b[39m" }),
		"a progress bar in between": dress(func(_ int, l string) string { return "  10% [=>   ]\r  99% [====>]\r" + l }),
		"BuildKit on a terminal": "\x1b[1A\x1b[0G\x1b[?25l => ERROR [build 3/4] RUN npm ci                                  12.4s\n" +
			" => => # npm error code ECONNRESET\n------\n > [build 3/4] RUN npm ci:\n12.34 npm error code ECONNRESET\n------\n",
		"the classic builder":   "Step 3/4 : RUN npm ci\n ---> Running in 0123456789ab\nnpm error code ECONNRESET\nThe command '/bin/sh -c npm ci' returned a non-zero code: 1\n",
		"UTF-16 of PowerShell":  wide(binary.LittleEndian, dress(func(_ int, l string) string { return l + "\r" })),
		"UTF-16, the other way": wide(binary.BigEndian, dress(func(_ int, l string) string { return l })),
		"UTF-8 with a mark":     "\ufeff" + dress(func(_ int, l string) string { return l }),
	} {
		t.Run(name, func(t *testing.T) {
			d := read(t, text)
			if d.Kind != fault.Connection || d.Service != "npm" || !d.Retryable || d.UserError {
				t.Errorf("got %+v", d)
			}
			if want := "npm error code ECONNRESET"; d.Evidence.Text != want {
				t.Errorf("got evidence %q, want %q", d.Evidence.Text, want)
			}
		})
	}
}

// wide returns s as UTF-16 behind its mark, with a character beyond the first
// 65,536 before it.
func wide(order binary.AppendByteOrder, s string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune("\ufeff\U0001f433 docker\n" + s)) {
		b = order.AppendUint16(b, u)
	}
	return string(b)
}

func TestTheStepThatFailedCounts(t *testing.T) {
	d := read(t, `#5 [a 1/2] RUN curl https://dl.example.com/x
#6 [b 1/2] RUN go vet ./...
#5 1.0 curl: (28) Operation timed out after 30000 milliseconds
#5 2.0 curl: (28) Operation timed out after 30000 milliseconds
#5 DONE 9.9s
#6 3.0 ./a.go:1:1: syntax error: unexpected }
#6 ERROR: process "/bin/sh -c go vet ./..." did not complete successfully: exit code: 1
`)
	if d.Kind != fault.Compile || d.Retryable {
		t.Errorf("got %+v, want the compile error", d)
	}
}

// The source of a command is no output, however much it speaks of networks.
func TestEchoedSourceIsNotOutput(t *testing.T) {
	d := read(t, `#7 [2/3] RUN curl --retry 5 https://dl.example.com/x || echo "connection refused: 503 Service Unavailable"
#7 0.5 ./configure: checking for gcc
#7 ERROR: process "/bin/sh -c curl https://dl.example.com/x || echo \"connection timed out\"" did not complete successfully: exit code: 2
------
Dockerfile:4
--------------------
   3 |     FROM alpine
   4 | >>> RUN curl --retry 5 https://dl.example.com/x || echo "connection refused: 503 Service Unavailable"
   5 |     # i/o timeout
--------------------
`)
	if d.Retryable {
		t.Errorf("got %+v from words that only the source has", d)
	}
}

func TestDiagnoseAStep(t *testing.T) {
	d := diagnose.Diagnose(diagnose.Step{
		Name:  "[build 2/3] RUN apk add git",
		Log:   []string{"fetch https://dl-cdn.alpinelinux.org/alpine/v3.22/main/x86_64/APKINDEX.tar.gz", "ERROR: https://dl-cdn.alpinelinux.org/alpine/v3.22/main: temporary error (try again later)"},
		Error: `process "/bin/sh -c apk add git" did not complete successfully: exit code: 1`,
	})
	want := diagnose.Diagnosis{Kind: fault.DNS, Service: "apk", Endpoint: "dl-cdn.alpinelinux.org", Retryable: true, FallbackHelps: true,
		Evidence: diagnose.Evidence{Line: 2, Text: "ERROR: https://dl-cdn.alpinelinux.org/alpine/v3.22/main: temporary error (try again later)"},
		Pattern:  "apk-temporary", Hint: fault.DNS.Hint(), Confidence: d.Confidence}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if d.Confidence <= 0 || d.Confidence > 1 {
		t.Errorf("got confidence %v, want one within 0 and 1", d.Confidence)
	}
}

func TestDiagnoseAStepOfACache(t *testing.T) {
	for name, want := range map[string]fault.Kind{
		"exporting to GitHub Actions Cache":                fault.CacheExport,
		"importing cache manifest from gha:123":            fault.CacheImport,
		"importing cache manifest from registry.test/a:b":  fault.CacheImport,
		"exporting cache to registry":                      fault.CacheExport,
		"[internal] booting buildkit":                      fault.Engine,
		"[build 2/2] RUN ./configure # of words not known": fault.Unknown,
	} {
		d := diagnose.Diagnose(diagnose.Step{Name: name, Error: "words that nobody knows"})
		if d.Kind != want {
			t.Errorf("%s: got %+v, want %s", name, d, want)
		}
	}
}

func TestEvidenceHidesSecrets(t *testing.T) {
	d := read(t, `failed to copy: httpReadSeeker: failed open: failed to do request: Get "https://user:hunter2secret@blobs.example.com/v2/x/blobs/sha256:aa?X-Amz-Signature=deadbeef&sig=topsecret": EOF`)
	for _, secret := range []string{"hunter2secret", "deadbeef", "topsecret"} {
		if strings.Contains(d.Evidence.Text, secret) {
			t.Errorf("got %q, which holds %q", d.Evidence.Text, secret)
		}
	}
	if d.Endpoint != "blobs.example.com" {
		t.Errorf("got endpoint %q", d.Endpoint)
	}
}

func TestMirrorOfAnotherRegistry(t *testing.T) {
	d := read(t, `failed to do request: Head "https://mirror.example.com/v2/library/node/manifests/22?ns=docker.io": dial tcp 203.0.113.4:443: i/o timeout`)
	if d.Endpoint != "mirror.example.com" || !strings.Contains(d.Evidence.Text, "?ns=docker.io") {
		t.Errorf("got %+v, want the mirror at fault", d)
	}
}

// The host is the one that was asked, wherever around the evidence it stands.
func TestTheHostAtFault(t *testing.T) {
	for _, tt := range []struct{ name, host, text string }{
		{"words after a name that is left out are no host", "pkg.example.org", "curl error 6 while downloading https://pkg.example.org/packages.json: Could not resolve host"},
		{"an image without a registry is Docker Hub's", "docker.io", "Step 1/5 : FROM alpine:3.13\n3.13: Pulling from library/alpine\nreceived unexpected HTTP status: 503 Service Unavailable"},
		{"a quota in Docker Hub's own words", "docker.io", "toomanyrequests: You have reached your pull rate limit."},
		{"an image with a registry is not Docker Hub's", "quay.io", "Step 1/5 : FROM quay.io/a/b:3\nreceived unexpected HTTP status: 503 Service Unavailable"},
		{"a field of a structured log", "mirror.example.org", `time="2026-01-01T00:00:00Z" level=info msg="trying next host" error="failed to authorize: failed to fetch anonymous token: unexpected status: 403 Forbidden" host=mirror.example.org`},
		{"the connection that urllib3 opened", "pypi.example.org", "Starting new HTTPS connection (1): pypi.example.org:443\nIncremented Retry for (url='/simple/a/'): Retry(total=4, connect=None)"},
		{"the key server of the command", "keys.example.org", "+ gpg --keyserver hkps://keys.example.org --recv-keys AB\ngpg: keyserver receive failed: No name"},
		{"an image some lines above", "ghcr.io", "failed to put manifest ghcr.io/a/b:latest: errors:\nmanifest blob unknown: blob unknown to registry\nmanifest blob unknown: blob unknown to registry\nmanifest blob unknown: blob unknown to registry\nmanifest blob unknown: blob unknown to registry"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if d := read(t, tt.text); d.Endpoint != tt.host {
				t.Errorf("got %q, want %q: %+v", d.Endpoint, tt.host, d)
			}
		})
	}
}

func TestReadGoesOnToTheEnd(t *testing.T) {
	broken := errors.New("broken pipe of ours")
	d, err := diagnose.Read(io.MultiReader(strings.NewReader("npm error code E404\n"), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) || d.Pattern != "npm-lock" {
		t.Errorf("got %v, %v", d, err)
	}
	d, err = diagnose.Read(iotest.OneByteReader(strings.NewReader("x\n\nnpm error code E404")))
	if err != nil || d.Evidence.Line != 3 {
		t.Errorf("got %v, %v, want line 3", d, err)
	}
}

// endless gives the same lines until it has given n bytes, then a last one.
type endless struct {
	lines []byte
	n     int
	at    int
	last  string
}

func (e *endless) Read(p []byte) (int, error) {
	if e.n <= 0 {
		if e.last == "" {
			return 0, io.EOF
		}
		n := copy(p, e.last)
		e.last = e.last[n:]
		return n, nil
	}
	n := copy(p, e.lines[e.at:])
	e.at = (e.at + n) % len(e.lines)
	e.n -= n
	if e.n <= 0 {
		e.last = string(e.lines[e.at:]) + e.last // end the line
	}
	return n, nil
}

// A log of 200 MB takes less than 2 s of the processor and 200 MiB, whatever is
// in it.
func TestLongLog(t *testing.T) {
	if testing.Short() || diagnose.Raced {
		t.Skip("reads 200 MB, which says nothing with the race detector on: make unit runs it without")
	}
	for name, lines := range map[string]string{
		"of a build":          "#12 345.678 Compiling some-crate v1.2.3 (/src/crates/some-crate) with a few more words in the line\n",
		"of errors":           "#12 345.678 error: connection reset by peer, 503 Service Unavailable, could not resolve host\n",
		"of empty lines":      "\n",
		"of one endless line": strings.Repeat("x", 1<<16),
		"of long lines":       strings.Repeat("npm ERR! ", 4000) + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			const size = 200 << 20
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			start := processor(t)
			d, err := diagnose.Read(&endless{lines: bytes.Repeat([]byte(lines), max(1, 1<<20/len(lines))), n: size, last: "\nE: Version '1' for 'x' was not found\n"})
			took := processor(t) - start
			runtime.ReadMemStats(&after)
			if err != nil {
				t.Fatal(err)
			}
			if d.Pattern != "apt-version" {
				t.Errorf("got %+v, want the last line", d)
			}
			t.Logf("%v, %d MB of heap from the system", took, (int64(after.HeapSys)-int64(before.HeapSys))>>20)
			if took > 2*time.Second {
				t.Errorf("took %v", took)
			}
			if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 200<<20 {
				t.Errorf("the heap grew by %d bytes", grown)
			}
		})
	}
}

// processor returns the time that this process has had of the processors: the
// time on the wall says more of what else runs here.
func processor(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// No input makes it panic, and equal input gives an equal answer.
func FuzzRead(f *testing.F) {
	for _, c := range cases {
		f.Add([]byte(c.text))
	}
	for _, p := range diagnose.Patterns() {
		f.Add([]byte(p.Sample))
	}
	f.Add([]byte("time=\"x\" level=error msg=\"\\\" error=\"a\"\n 3 | >>> RUN\n#1 ERROR\n\x1b[\r\r\n<br/><br/>"))
	f.Fuzz(func(t *testing.T, text []byte) {
		a, err := diagnose.Read(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		b, _ := diagnose.Read(iotest.HalfReader(bytes.NewReader(text)))
		if a != b {
			t.Errorf("got %+v, and then %+v", a, b)
		}
		if a.Evidence.Line < 0 || a.Evidence.Line > bytes.Count(text, []byte("\n"))+1 {
			t.Errorf("got line %d", a.Evidence.Line)
		}
		if a.UserError && a.Retryable {
			t.Errorf("got another try of what is the user's own: %+v", a)
		}
	})
}

// The labelled outputs stand beside the repository, where they stand at all.
// The figures are floors: what the rules reach is printed by make accuracy.
func TestAccuracy(t *testing.T) {
	const path = "../../shared/failures/dev.jsonl"
	if _, err := os.Stat(path); err != nil {
		t.Skip("needs the labelled outputs beside the repository")
	}
	right, useless, n := accuracy(t, path)
	if n < 100 || float64(right)/float64(n) < 0.9 || useless > 5 {
		t.Errorf("got %d of %d judgements to retry right, %d useless", right, n, useless)
	}
}

// The project's own outputs are read as well as they were.
func TestAccuracyOnOurOwnOutputs(t *testing.T) {
	for path, floor := range map[string]float64{"testdata/heldout.jsonl": 0.98, "testdata/third.jsonl": 0.98} {
		right, useless, n := accuracy(t, path)
		if n < 120 || float64(right)/float64(n) < floor || useless > 0 {
			t.Errorf("%s: got %d of %d judgements to retry right, %d useless", path, right, n, useless)
		}
	}
}
