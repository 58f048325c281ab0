package web_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/outlast-build/outlast/history"
	"github.com/outlast-build/outlast/internal/testenv/runs"
	"github.com/outlast-build/outlast/internal/web"
)

// BenchmarkPages measures each page over as many runs as OUTLAST_BENCH_RUNS
// says, 2000 by default. A million takes some minutes to make.
func BenchmarkPages(b *testing.B) {
	n, _ := strconv.Atoi(os.Getenv("OUTLAST_BENCH_RUNS"))
	n = max(n, 2000)
	s, err := history.Open(b.Context(), b.TempDir(), history.Options{Now: func() time.Time { return now }})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	const batch = 2000
	for from := 0; from < n; from += batch {
		// Each batch lies before the one after it, and all have IDs of their own.
		all := runs.Many(batch, now.Add(-time.Duration((n-from-batch)/batch)*time.Minute))
		for i := range all {
			all[i].ID = "RUN" + strconv.Itoa(from+i)
		}
		if _, err := s.Add(b.Context(), all...); err != nil {
			b.Fatal(err)
		}
	}
	site := (&web.Site{History: s, Now: func() time.Time { return now }}).Handler()
	for _, path := range []string{"/", "/builds", "/builds?outcome=failed", "/builds/RUN" + strconv.Itoa(n-1), "/compare?run=RUN1&run=RUN" + strconv.Itoa(n-2), "/services", "/caches", "/strategies", "/advice"} {
		b.Run(path, func(b *testing.B) {
			for b.Loop() {
				w := httptest.NewRecorder()
				if site.ServeHTTP(w, httptest.NewRequest("GET", path, nil)); w.Code != http.StatusOK {
					b.Fatalf("got %d", w.Code)
				}
			}
		})
	}
}
