package e2e

import (
	"strings"
	"testing"

	"github.com/outlast-build/outlast/faultnet"
)

func TestZZ(t *testing.T) {
	b := newBench(t, publicSites)
	docker, gcr := b.cloud.Sites[0], b.cloud.Sites[1]
	show := func(name string, r result) { t.Logf("=== %s: code %d after %v\n%s", name, r.code, r.took, r.text()) }
	_ = strings.Join
	dir := b.context("# outlast: or debian:13-slim, alpine:3\nFROM gcr.io/distroless/static:nonroot\nRUN true\n")
	show("plan well", b.run("plan", dir))
	gcr.Origin.Play(faultnet.Always(faultnet.OKHTML()))
	gcr.Mirrors[0].Play(faultnet.Always(faultnet.Refuse()))
	show("check gcr gone", b.run("check", dir))
	show("plan gcr gone", b.run("plan", dir))
	show("plan gcr gone json", b.run("plan", "--format", "json", dir))
	show("build gcr gone", b.build(dir, "--output", "type=oci,dest="+b.dir+"/x.tar"))
	b.cloud.Heal()
	two := b.context(twoBases)
	show("plan two well", b.run("plan", two))
	docker.Origin.Play(faultnet.Always(faultnet.Hang()))
	show("plan hub down, mirrors well", b.run("plan", b.context(twoBases+"\n")))
	docker.Mirrors[0].Play(faultnet.Always(faultnet.Hang()))
	docker.Mirrors[1].Play(faultnet.Always(faultnet.Hang()))
	show("plan hub and mirrors down", b.run("plan", b.context(twoBases+"\n\n")))
	b.cloud.Heal()
	show("build two", b.build(two))
	docker.Origin.Play(faultnet.Always(faultnet.Hang()))
	docker.Mirrors[0].Play(faultnet.Always(faultnet.Hang()))
	docker.Mirrors[1].Play(faultnet.Always(faultnet.Hang()))
	show("plan hub and mirrors down, cached", b.run("plan", b.context(twoBases+"\n\n\n")))
	b.cloud.Heal()
	b.env = []string{"BUILD_TIMEOUT_OPTIMAL=5", "BUILD_TIMEOUT_RESILIENT=5", "BUILD_TIMEOUT_CONSERVATIVE=5", "BUILD_TIMEOUT_EMERGENCY=5"}
	show("hang", b.build(b.context("FROM alpine:3\nRUN sleep 600\n")))
	b.env = []string{"DEBUG=1"}
	show("debug", b.build(two))
}
