package daemon_test

import (
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/fetch"
	"github.com/outlast-build/outlast/internal/daemon"
	"github.com/outlast-build/outlast/internal/testenv/runs"
)

// collect is a collector of traces that keeps the spans by their names.
func collect(t *testing.T) (address string, spans func() map[string]*otlp.Span) {
	t.Helper()
	got := make(chan *collector.ExportTraceServiceRequest, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		req := new(collector.ExportTraceServiceRequest)
		if err = errors.Join(err, proto.Unmarshal(body, req)); err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		got <- req
	}))
	t.Cleanup(server.Close)
	return server.URL, func() map[string]*otlp.Span {
		all := make(map[string]*otlp.Span)
		for _, r := range (<-got).ResourceSpans {
			for _, s := range r.ScopeSpans {
				for _, one := range s.Spans {
					all[one.Name] = one
				}
			}
		}
		return all
	}
}

func TestABuildIsATrace(t *testing.T) {
	address, spans := collect(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
	env := []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + address, "TRACEPARENT=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "API_TOKEN=Hunter2Pl4nted9z"}
	tracer := daemon.NewTracer([]string{"."}, env)
	run := runs.Outage()
	tracer.Tried()(fetch.Try{Name: "docker.io/library/golang:1.26", Endpoint: "mirror.example.com", At: run.Attempts[0].Started.Add(time.Second), Took: time.Second, Kind: fault.Timeout, Err: errors.New("said Hunter2Pl4nted9z")})
	tracer.Tried()(fetch.Try{Name: "late", Endpoint: "mirror.example.com", At: run.Attempts[1].Started.Add(time.Second), Took: time.Second})
	if err := tracer.Export(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	all := spans()
	for name, parent := range map[string]string{"attempt 1": "outlast build", "attempt 2": "outlast build", "[linux/amd64 build 4/6] RUN go mod download": "attempt 2",
		"fetch docker.io/library/golang:1.26": "attempt 1", "fetch late": "attempt 2", "exporting to oci image format": "attempt 2"} {
		if all[name] == nil || all[parent] == nil || !slices.Equal(all[name].ParentSpanId, all[parent].SpanId) {
			t.Errorf("%s is not a part of %s", name, parent)
		}
	}
	root := all["outlast build"]
	if hex.EncodeToString(root.TraceId) != "0af7651916cd43dd8448eb211c80319c" || hex.EncodeToString(root.ParentSpanId) != "b7ad6b7169203331" {
		t.Error("the build is no part of the trace that the environment names")
	}
	if took := time.Duration(root.EndTimeUnixNano - root.StartTimeUnixNano); took != run.Took() {
		t.Errorf("the build took %s, want %s", took, run.Took())
	}
	if s := all["attempt 1"].Status; s.GetCode() != otlp.Status_STATUS_CODE_ERROR || all["attempt 2"].Status.GetCode() == otlp.Status_STATUS_CODE_ERROR {
		t.Errorf("got the status %v of a failure", s)
	}
	if text := all["fetch docker.io/library/golang:1.26"].String(); strings.Contains(text, "Hunter2") || !strings.Contains(text, "timeout") {
		t.Errorf("got %s", text)
	}
}

func TestNobodyAskedForATrace(t *testing.T) {
	for _, env := range [][]string{nil, {"OTEL_TRACES_EXPORTER=none", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1"}, {"OTEL_SDK_DISABLED=true", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1"}} {
		tracer := daemon.NewTracer(nil, env)
		if tracer.Tried() != nil || tracer.Export(t.Context(), runs.Outage()) != nil {
			t.Errorf("%q: something is done", env)
		}
	}
}

// A collector that hangs holds a build up for two seconds, and fails nothing.
func TestACollectorThatHangs(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	began := time.Now()
	err := daemon.NewTracer(nil, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + server.URL}).Export(t.Context(), runs.Outage())
	if took := time.Since(began); err == nil || took > 6*time.Second {
		t.Errorf("got %v after %s", err, took)
	}
}
