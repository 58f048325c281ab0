package e2e

import (
	"testing"

	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/internal/testenv/cloud"
)

const example = "../examples/conductor-loop"

// publicSites are docker.io with two mirrors, and gcr.io with one.
func publicSites(c *cloud.Cloud) error {
	trusted := cloud.PlaceOptions{Tags: true}
	if _, err := c.Site("docker.io", cloud.PlaceOptions{Guarded: true}, trusted, trusted); err != nil {
		return err
	}
	_, err := c.Site("gcr.io", cloud.PlaceOptions{}, trusted)
	return err
}

func TestTheExampleThroughAnOutage(t *testing.T) {
	t.Parallel()
	b := newBench(t, publicSites)
	docker, gcr := b.cloud.Sites[0], b.cloud.Sites[1]
	for _, play := range []error{
		docker.Origin.Play(faultnet.Always(faultnet.Hang())),
		docker.Mirrors[0].Play(faultnet.Script{{Place: faultnet.Blob, Fault: faultnet.WrongByte()}}),
		gcr.Origin.Play(faultnet.Always(faultnet.OKHTML())),
	} {
		if play != nil {
			t.Fatal(play)
		}
	}
	got := b.build(example, "-t", "app:dev", "--output", "type=oci,dest=/dev/null")
	got.want(t, 0, docker.Origin.Host(), "does not answer", docker.Mirrors[0].Host(), "spoiled", gcr.Origin.Host(), "HTML page")
	t.Logf("%v\n%s", got.took, got.text())
}
