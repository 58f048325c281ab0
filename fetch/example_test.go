package fetch_test

import (
	"context"
	"fmt"
	"os"

	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/fetch"
)

// A layer comes from whoever has it, although the first mirror sends a web
// page and the second breaks off.
func ExampleFetcher_Spool() {
	layer := content(100_000)
	f := &fetch.Fetcher{
		Base: faultnet.Hosts{
			"page.example":  &faultnet.Transport{Script: faultnet.Always(faultnet.OKHTML())},
			"short.example": &faultnet.Transport{Backend: blob(layer), Script: faultnet.Always(faultnet.CutAfter(70_000))},
			"good.example":  &faultnet.Transport{Backend: blob(layer)},
		},
		OnTry: func(t fetch.Try) { fmt.Printf("%s: %d bytes, %q\n", t.Endpoint, t.Bytes, t.Kind) },
	}
	file, err := os.CreateTemp("", "layer")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.Remove(file.Name())
	defer file.Close()
	answer, err := f.Spool(context.Background(), fetch.Ask{
		Name:   "the layer",
		Digest: digestOf(string(layer)),
		Sources: []fetch.Source{
			{Endpoint: "page.example", URL: "http://page.example/layer"},
			{Endpoint: "short.example", URL: "http://short.example/layer"},
			{Endpoint: "good.example", URL: "http://good.example/layer"},
		},
	}, file)
	fmt.Println(answer.Size, err)
	// Output:
	// page.example: 0 bytes, "html-instead-of-api"
	// short.example: 70000 bytes, "truncated"
	// good.example: 30000 bytes, ""
	// 100000 <nil>
}
