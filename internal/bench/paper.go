package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
)

// A row is one number, with what it stands against.
type row struct {
	What       string
	Base, Ours string // medians
	Result     string
	Aim        string `json:",omitempty"` // "" where there is none
	Short      bool   `json:",omitempty"` // the aim was not reached
}

// A section is what one item came to.
type section struct {
	Name string
	Load string // of the machine, when it was measured
	Rows []row
}

// how explains each item, by its name.
var how = map[string]string{
	"cached": `A Dockerfile of two stages and six steps is built by both until nothing is left to do, and then
seven times more by each, in turns, on one BuildKit. The left number is stock buildx. The registry is on this machine,
so what remains is the work of the programs themselves.`,
	"pull": `An image of ten layers (1, 2, 3, 5, 8, 13, 20, 35, 60 and 100 MiB that do not compress) is pulled and
unpacked by a BuildKit that was started for it and has nothing; outlast's store is empty too. The left number is stock
buildx on the same BuildKit with the one source. Sources are real registries behind a proxy that sends at most
50 MB/s on each connection, or as fast as it can. BuildKit asks for several layers at once; the programs, BuildKit and
the sources share the same cores, so that the numbers as fast as loopback show what copying, hashing and writing to
the store cost, which a network hides.`,
	"blackhole": `The same pull, from two mirrors and an origin at 50 MB/s a connection. The left number is outlast with
all of them well; on the right the first mirror leaves connections unanswered. Nothing is remembered from one
pull to the next. Stock buildx, told of the same mirrors, is cut after 30 seconds; its time stands at the left.`,
	"warm": `One blob of 100 MiB, in the store already, read by HTTP clients that throw it away, from the gateway and
from Go's own http.FileServer in a process of its own (the left number), in turns. The result is the gateway's throughput in units of
the file server's.`,
	"go": `The real go mod download, with nothing in its cache, gets the modules of tools/buildx/go.mod from the proxy that
this machine is configured for: directly (the left number), through a gateway whose store is empty, and through the same gateway again,
in turns. The upstream is the Internet's and differs from minute to minute.`,
	"apt": `The same with apt-get update and install --download-only of build-essential and python3-venv, with all
that an empty system needs for them, from Debian's archive. Then through Debian's apt-cacher-ng and squid, empty and
again (the left numbers of those rows), in turns of their own.`,
	"npm": `The same with npm ci, by a lock file that was made for this. Neither apt-cacher-ng nor squid can cache what npm and
go ask for: it is HTTPS.`,
	"memory": `The largest resident set (VmHWM) that the gateway's process ever had: 16 clients ask at once for a blob of
1 GiB that it does not have yet, and then again when it does. The left number is after the first.`,
}

// load is the system's load average over 1, 5 and 15 minutes.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(text))
	if err != nil || len(fields) < 3 {
		return "not known"
	}
	return strings.Join(fields[:3], ", ")
}

// page is docs/benchmarks.md.
func page(sections []section) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `# Benchmarks

<!-- Made by make bench: change internal/bench, not this page. -->

What outlast costs where all is well, and what it gains. There is no pass or fail: each number stands beside the aim
that it is measured against. The numbers of one item come from one run on one machine (%s, %d cores, which the clients,
the programs and the services share), by turns, and are medians, so compare the ratios and not the times. Below, each
item says what the load average was when it was measured; above the number of cores, other work ran beside, and even the
ratios of pulls differ from run to run.

| | stands against | outlast | result | aim |
| --- | ---: | ---: | ---: | --- |
`, runtime.GOOS+"/"+runtime.GOARCH, runtime.NumCPU())
	var short []string
	for _, s := range sections {
		for _, r := range s.Rows {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", r.What, r.Base, r.Ours, r.Result, r.Aim)
			if r.Short {
				short = append(short, fmt.Sprintf("- %s: %s, aim %s", r.What, r.Result, r.Aim))
			}
		}
	}
	b.WriteString("\n## Where it falls short\n\n")
	if len(short) == 0 {
		short = []string{"In this run, nowhere."}
	}
	b.WriteString(strings.Join(short, "\n") + "\n\n## How it is measured\n")
	for _, s := range sections {
		fmt.Fprintf(&b, "\n`%s`, at a load of %s: %s\n", s.Name, s.Load, how[s.Name])
	}
	b.WriteString("\n`make bench` measures all, `go run ./internal/bench -only cached,warm` some of it; with -results FILE\nthe page has what was measured before as well.\n")
	return b.Bytes()
}
