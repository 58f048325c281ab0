// Command outlast builds container images through outages.
package main

import (
	"context"
	"os"

	"github.com/outlast-build/outlast/internal/cli"
)

func main() {
	os.Exit(cli.Main(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ()))
}
