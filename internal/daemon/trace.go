package daemon

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	api "go.opentelemetry.io/otel/trace"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/fetch"
	"github.com/outlast-build/outlast/record"
	"github.com/outlast-build/outlast/redact"
)

// traceLimit is how long the export of a trace may take, after the build.
const traceLimit = 2 * time.Second

// maxFetches bounds the fetches of a trace.
const maxFetches = 2000

// A Tracer makes a build into an OpenTelemetry trace when it is over. Nil, which
// is what no variable of the environment asks for more than, does nothing.
type Tracer struct {
	env   func(string) string
	clean func(string) string

	mu    sync.Mutex
	tries []fetch.Try
}

// NewTracer returns a Tracer where the environment asks for one, by the
// variables of OpenTelemetry's specification: an endpoint for OTLP, and no word
// against it. The build has these arguments, whose secrets are taken out of
// what is exported.
func NewTracer(args, env []string) *Tracer {
	getenv := func(name string) string {
		for i := len(env) - 1; i >= 0; i-- {
			if key, value, ok := strings.Cut(env[i], "="); ok && key == name {
				return value
			}
		}
		return ""
	}
	exporter := getenv("OTEL_TRACES_EXPORTER")
	switch {
	case strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true"), exporter != "" && exporter != "otlp":
		return nil
	case exporter == "" && getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "":
		return nil
	}
	return &Tracer{env: getenv, clean: redact.ForBuild(args, env).Text}
}

// Tried returns what takes requests to upstreams, at once from many places; nil
// where nobody asked for a trace.
func (t *Tracer) Tried() func(fetch.Try) {
	if t == nil {
		return nil
	}
	return func(one fetch.Try) {
		t.mu.Lock()
		defer t.mu.Unlock()
		if len(t.tries) < maxFetches {
			t.tries = append(t.tries, one)
		}
	}
}

// Export sends the trace of a run that was redacted, within traceLimit.
func (t *Tracer) Export(ctx context.Context, r record.Run) error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), traceLimit)
	defer cancel()
	exporter, err := t.exporter(ctx)
	if err != nil {
		return fmt.Errorf("export the trace: %w", err)
	}
	defer exporter.Shutdown(ctx)
	about, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "outlast"), attribute.String("service.version", r.Version)), resource.WithFromEnv())
	if err != nil {
		return fmt.Errorf("export the trace: %w", err)
	}
	kept := new(spans)
	provider := trace.NewTracerProvider(trace.WithSpanProcessor(kept), trace.WithResource(about))
	t.spans(ctx, provider.Tracer("github.com/outlast-build/outlast"), r)
	if err := exporter.ExportSpans(ctx, *kept); err != nil {
		return errors.New("export the trace: " + t.clean(err.Error()))
	}
	return nil
}

func (t *Tracer) exporter(ctx context.Context) (*otlptrace.Exporter, error) {
	protocol := t.env("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
	if protocol == "" {
		protocol = t.env("OTEL_EXPORTER_OTLP_PROTOCOL")
	}
	switch protocol {
	case "grpc":
		return otlptracegrpc.New(ctx)
	case "", "http/protobuf":
		return otlptracehttp.New(ctx)
	}
	return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL %q is neither http/protobuf nor grpc", protocol)
}

// spans are what ended, in that order: the build is exported in one piece.
type spans []trace.ReadOnlySpan

// The methods are trace.SpanProcessor's.
func (s *spans) OnStart(context.Context, trace.ReadWriteSpan) {}
func (s *spans) OnEnd(one trace.ReadOnlySpan)                 { *s = append(*s, one) }
func (s *spans) Shutdown(context.Context) error               { return nil }
func (s *spans) ForceFlush(context.Context) error             { return nil }

// spans makes the build, its attempts, their steps, and the fetches in the time
// of each. Whoever runs the build may have named a parent, in TRACEPARENT.
func (t *Tracer) spans(ctx context.Context, tracer api.Tracer, r record.Run) {
	ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": t.env("TRACEPARENT"), "tracestate": t.env("TRACESTATE")})
	ctx, end := span(ctx, tracer, "outlast build", r.Started, r.Ended, r.Error,
		attribute.String("outlast.run", r.ID), attribute.String("outlast.outcome", string(r.Outcome)), attribute.String("outlast.strategy", r.Strategy),
		attribute.Int("outlast.score", r.Card.Percent()), attribute.String("outlast.builder", r.Builder))
	defer end()
	t.mu.Lock()
	tries := t.tries
	t.mu.Unlock()
	for i, a := range r.Attempts {
		within, end := span(ctx, tracer, fmt.Sprintf("attempt %d", i+1), a.Started, a.Ended, a.Cause,
			attribute.String("outlast.strategy", a.Strategy), attribute.String("outlast.kind", string(a.Kind)), attribute.Int("outlast.steps", a.Steps), attribute.Int("outlast.cached", a.Cached))
		for _, s := range a.Ran {
			if s.Started.IsZero() {
				continue
			}
			ended := s.Ended
			if ended.IsZero() {
				ended = a.Ended
			}
			_, end := span(within, tracer, s.Name, s.Started, ended, s.Error, attribute.Bool("outlast.cached", s.Cached))
			end()
		}
		var rest []fetch.Try
		for _, one := range tries {
			if one.At.Before(a.Started) || one.At.After(a.Ended) {
				rest = append(rest, one)
				continue
			}
			t.fetch(within, tracer, one)
		}
		tries = rest
		end()
	}
	for _, one := range tries {
		t.fetch(ctx, tracer, one)
	}
}

func (t *Tracer) fetch(ctx context.Context, tracer api.Tracer, one fetch.Try) {
	failed := ""
	if one.Err != nil && one.Kind != fault.Canceled {
		failed = t.clean(one.Err.Error())
	}
	_, end := span(ctx, tracer, "fetch "+t.clean(one.Name), one.At, one.At.Add(one.Took), failed,
		attribute.String("server.address", one.Endpoint), attribute.String("outlast.kind", string(one.Kind)), attribute.Int("http.response.status_code", one.Status),
		attribute.Int64("outlast.bytes", one.Bytes), attribute.Bool("outlast.hedged", one.Hedged), attribute.Bool("outlast.resumed", one.Resumed))
	end()
}

// span begins a span; end ends it, as failed where there is an error.
func span(ctx context.Context, tracer api.Tracer, name string, from, to time.Time, failed string, about ...attribute.KeyValue) (within context.Context, end func()) {
	within, s := tracer.Start(ctx, name, api.WithTimestamp(from), api.WithAttributes(about...))
	return within, func() {
		if failed != "" {
			s.SetStatus(codes.Error, failed)
		}
		s.End(api.WithTimestamp(to))
	}
}
