package faultnet_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/faultnet"
)

// A mirror stands before a registry on a bad day: it limits the first who ask
// for a manifest, and the third transfer of a layer breaks off. Then it gets
// worse: an outage page takes the place of everything. At last the day ends.
func Example() {
	mirror := &faultnet.Service{
		Backend: http.HandlerFunc(registry),
		Script: faultnet.Script{
			{Place: faultnet.Tag, On: faultnet.First(1), Fault: faultnet.TooMany(5 * time.Second)},
			{Place: faultnet.Blob, On: faultnet.Nth(3), Fault: faultnet.CutAfter(400)},
		},
	}
	if err := mirror.Start(); err != nil {
		fmt.Println(err)
		return
	}
	defer mirror.Close()

	get := func(path string) {
		resp, err := mirror.Client().Get(mirror.URL() + path)
		if err != nil {
			fmt.Println(fault.Of(err))
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		fmt.Println(resp.StatusCode, len(body), "bytes,", cmp.Or(fault.Of(err), "well"))
	}

	fmt.Println("script:", mirror.Script)
	get("/v2/library/app/manifests/latest")
	get("/v2/library/app/manifests/latest")
	for range 3 {
		get("/v2/library/app/blobs/sha256:bb")
	}
	fmt.Println("asked for", mirror.Count(faultnet.Tag), "tags and", mirror.Count(faultnet.Blob), "blobs")

	mirror.Play(faultnet.Always(faultnet.StatusHTML(400, faultnet.OutagePage)))
	get("/v2/library/app/manifests/latest")
	fmt.Println(mirror.Log())

	mirror.Play(nil)
	get("/v2/library/app/blobs/sha256:bb")

	// Output:
	// script: tag, first 1: 429 retry after 5s; blob, request 3: cut after 400 B
	// 429 69 bytes, well
	// 200 85 bytes, well
	// 200 1000 bytes, well
	// 200 1000 bytes, well
	// 200 400 bytes, truncated
	// asked for 2 tags and 3 blobs
	// 400 137 bytes, well
	// [GET /v2/library/app/manifests/latest -> 400 137 B (400 HTML)]
	// 200 1000 bytes, well
}

// A Transport plays the same scripts without a port. In a bubble of
// testing/synctest its hours pass in no time.
func ExampleTransport() {
	client := &http.Client{Transport: faultnet.Hosts{
		"registry.example.com": &faultnet.Transport{Backend: http.HandlerFunc(registry)},
		"mirror.example.com":   &faultnet.Transport{Script: faultnet.Always(faultnet.Hang())},
	}}
	for _, host := range []string{"registry.example.com", "mirror.example.com", "nowhere.example.com"} {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		req, _ := http.NewRequestWithContext(ctx, "HEAD", "https://"+host+"/v2/library/app/manifests/latest", nil)
		resp, err := client.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		cancel()
		fmt.Println(host+":", cmp.Or(fault.Of(err), "well"))
	}
	// Output:
	// registry.example.com: well
	// mirror.example.com: timeout
	// nowhere.example.com: dns
}
