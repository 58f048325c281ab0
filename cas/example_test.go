package cas_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/fault"
)

func Example() {
	dir, err := os.MkdirTemp("", "cas")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	store, err := cas.Open(dir, 20<<30)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()

	manifest := `{"schemaVersion":2}`
	d := digest.FromString(manifest)
	_, err = store.Get(d)
	fmt.Println("before:", errors.Is(err, fs.ErrNotExist))

	if err := store.Put(d, strings.NewReader(manifest)); err != nil {
		log.Fatal(err)
	}
	err = store.SetName("docker.io/library/alpine:3", cas.Name{
		Digest: d, Size: int64(len(manifest)), At: time.Unix(1700000000, 0),
		MediaType: "application/vnd.oci.image.index.v1+json",
	})
	if err != nil {
		log.Fatal(err)
	}

	name, err := store.Name("docker.io/library/alpine:3")
	if err != nil {
		log.Fatal(err)
	}
	content, err := store.Get(name.Digest)
	if err != nil {
		log.Fatal(err)
	}
	defer content.Close()
	data, err := io.ReadAll(content)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("after: %s (%d bytes)\n", data, content.Size)
	// Output:
	// before: true
	// after: {"schemaVersion":2} (19 bytes)
}

// Bytes from elsewhere are spooled, and become content only if they are what
// was asked for.
func ExampleWriter() {
	dir, err := os.MkdirTemp("", "cas")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	store, err := cas.Open(dir, 0)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()

	w, err := store.Create()
	if err != nil {
		log.Fatal(err)
	}
	defer w.Close()
	want := digest.FromString("the layer")

	fmt.Fprint(w, "the loyer") // a mirror spoiled a byte
	err = w.Commit(want)
	fmt.Println(fault.Of(err))

	if _, err := w.WriteAt([]byte("a"), 5); err != nil { // another has it
		log.Fatal(err)
	}
	fmt.Println(w.Commit(want))
	// Output:
	// corrupt
	// <nil>
}
