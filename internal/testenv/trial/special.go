package trial

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/internal/testenv"
	"github.com/outlast-build/outlast/internal/testenv/cloud"
)

// A Story is something that no single row can show: several builds in turn.
type Story struct {
	Title   string
	Promise string // what is to be seen, for people

	row     Row
	options testenv.BuildkitdOptions
	tell    func(ctx context.Context, s *scene)
}

// A Step of a story is one build, or something else that was done.
type Step struct {
	Did    string
	Result Result // its Outcome is empty where it was no build
}

// limit bounds each build of a story.
const limit = time.Minute

// Run plays the story. The steps come with an error where the promise was not
// kept, which names what was not as it should be.
func (s Story) Run(ctx context.Context, b *Bench) ([]Step, error) {
	l, err := b.lab(ctx, s.row, s.options)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	sc := &scene{lab: l}
	s.tell(ctx, sc)
	return sc.steps, sc.err
}

// A scene is a story while it is played. After the first error nothing is
// done any more.
type scene struct {
	*lab
	steps []Step
	err   error
}

func (s *scene) do(err error) {
	if s.err == nil {
		s.err = err
	}
}

func (s *scene) build(ctx context.Context, did string, by func(context.Context, time.Duration) (Result, error), limit time.Duration) Result {
	if s.err != nil {
		return Result{}
	}
	r, err := by(ctx, limit)
	s.do(err)
	s.steps = append(s.steps, Step{did, r})
	return r
}

// want fails the story unless ok.
func (s *scene) want(ok bool, r Result, format string, args ...any) {
	if s.err == nil && !ok {
		s.err = fmt.Errorf("want %s; got exit code %d after %v:\n%s", fmt.Sprintf(format, args...), r.Code, r.Took, r.Log)
	}
}

func (s *scene) places() []*cloud.Place { return append(slices.Clone(s.site.Mirrors), s.site.Origin) }

// play gives each place a script: mirror-1, mirror-2, origin.
func (s *scene) play(scripts ...faultnet.Script) {
	for i, p := range s.places() {
		s.do(p.Play(scripts[i]))
	}
}

// Stories lists what no single row can show.
func Stories() []Story {
	return []Story{
		{Title: "A warm store, and everything is down", row: Well(), tell: warm,
			Promise: "What was built once can be built again, on a new BuildKit, with every registry gone; the image is marked as stale."},
		{Title: "Nothing is well, and nothing is stored", row: Well(), tell: nothing,
			Promise: "The build fails with exit code 3, within the limits, and says of each source what was wrong with it."},
		{Title: "An image that does not exist", row: Well(), tell: missing,
			Promise: "The origin says no: the build fails at once with exit code 1, and nothing is tried again."},
		{Title: "A BuildKit that has kept spoiled bytes", row: poisonous(), tell: poisoned, options: testenv.BuildkitdOptions{KeepSpoiled: true},
			Promise: "Stock BuildKit goes on failing when all is well again; Outlast sees it, makes it let go by a prune that matches nothing, and builds. Nothing of the user's goes."},
	}
}

func warm(ctx context.Context, s *scene) {
	r := s.build(ctx, "outlast build, all is well", s.outlast, limit)
	s.want(r.Outcome == Built, r, "a build")
	s.do(s.renew(ctx))
	down := faultnet.Always(faultnet.Refuse())
	s.play(faultnet.Always(faultnet.Hang()), faultnet.Always(faultnet.OKHTML()), down)
	r = s.build(ctx, "new BuildKit; mirror-1 hangs, mirror-2 answers with pages, origin refuses connections: stock", s.stock, limit/2)
	s.want(r.Outcome != Built, r, "stock to fail: then this is no test")
	s.do(s.renew(ctx))
	r = s.build(ctx, "the same with outlast build", s.outlast, limit)
	s.want(r.Outcome == Built, r, "a build from the store")
	s.want(strings.Contains(r.Log, "stale"), r, "it marked as stale")
}

func nothing(ctx context.Context, s *scene) {
	s.play(faultnet.Always(faultnet.Hang()), faultnet.Always(faultnet.StatusHTML(503, "")), faultnet.Always(faultnet.Refuse()))
	s.build(ctx, "mirror-1 hangs, mirror-2 answers 503 with pages, origin refuses connections: stock", s.stock, limit/2)
	s.do(s.renew(ctx))
	r := s.build(ctx, "the same with outlast build", s.outlast, limit)
	s.want(r.Code == 3, r, "exit code 3")
	s.want(r.Took < 30*time.Second, r, "an end within the limits")
	for _, name := range []string{"mirror-1", "mirror-2", "origin"} {
		n := 0
		for _, line := range r.Said {
			if strings.HasPrefix(strings.TrimSpace(strings.TrimPrefix(line, "hint:")), name+" ") {
				n++
			}
		}
		s.want(n == 1, r, "one line about %s, not %d", name, n)
	}
}

func missing(ctx context.Context, s *scene) {
	s.do(s.write("FROM " + s.site.Host() + "/library/nothing:here\nRUN true\n"))
	s.build(ctx, "FROM origin/library/nothing:here, stock", s.stock, limit/2)
	r := s.build(ctx, "the same with outlast build", s.outlast, limit)
	s.want(r.Code == 1, r, "exit code 1")
	s.want(r.Took < 10*time.Second, r, "it at once")
}

// poisonous is a network whose first mirror spoils every layer.
func poisonous() Row {
	return Row{Fault: "wrong bytes", Place: faultnet.Blob, Where: Mirror,
		failure: failure{fault: always(faultnet.WrongByte())}}
}

func poisoned(ctx context.Context, s *scene) {
	s.do(s.write("FROM scratch\nCOPY Dockerfile /mine\n"))
	r := s.build(ctx, "stock builds something else, which is to stay", s.stock, limit/2)
	s.want(r.Outcome == Built, r, "a build")
	before := s.records(ctx)
	s.do(s.write(fmt.Sprintf(dockerfile, s.reference())))
	r = s.build(ctx, "mirror-1 spoils layers: stock", s.stock, limit/2)
	s.want(r.Outcome == Failed, r, "stock to be poisoned: else this is no test")
	s.play(nil, nil, nil)
	r = s.build(ctx, "all is well again: stock", s.stock, limit/2)
	s.want(r.Outcome == Failed, r, "stock to stay poisoned: else this is no test")
	r = s.build(ctx, "all is well: outlast build", s.outlast, limit)
	s.want(r.Outcome == Built, r, "a build")
	s.want(strings.Contains(r.Log, "spoiled download"), r, "it to say what it did")
	after := s.records(ctx)
	for _, id := range before {
		s.want(slices.Contains(after, id), r, "the record %s still in the build cache %q", id, after)
	}
	s.want(len(before) > 0, r, "records in the build cache before")
	s.steps = append(s.steps, Step{Did: fmt.Sprintf("`buildx du`: all %d records of the first build are still there", len(before))})
}

// records lists what the build cache holds.
func (s *scene) records(ctx context.Context) []string {
	if s.err != nil {
		return nil
	}
	out, err := s.buildx.Run(ctx, "du", "--builder", "row", "--format", "{{.ID}}")
	s.do(err)
	return strings.Fields(out)
}
