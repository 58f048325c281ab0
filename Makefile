# Every command a developer needs; "make help" lists them.
# Programs that the tests use are built from pinned modules into .tools/bin and
# never touch the rest of the machine; see tools/README.md.

GO       ?= go
TOOLS    = $(shell tools/build --list)
UNIT     = $(shell $(GO) list ./... | grep -v /e2e)
# What this machine's Go is set to, for machines without Go. What has a password
# in it stays here.
GOPROXY_HERE = $(shell $(GO) env GOPROXY | tr ',|' '\n\n' | grep '^https*://[^@]*$$' | paste -sd, -)
# The checksum databases that Go knows by name, from its own source.
GOSUMKEYS = $(shell grep -oE '"[a-z0-9.-]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]+=*"' "$$($(GO) env GOROOT)/src/cmd/go/internal/modfetch/key.go" 2>/dev/null | tr -d '"' | paste -sd, -)
# Go takes the version from git's tags, where git can say.
BUILDVCS = $(shell git describe --always >/dev/null 2>&1 && echo true || echo false)

export PATH := $(CURDIR)/bin:$(CURDIR)/.tools/bin:$(PATH):/usr/sbin:/sbin

.PHONY: build
build: ## bin/outlast, one static program
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=$(BUILDVCS) -ldflags '-s -w -X github.com/outlast-build/outlast.goProxy=$(GOPROXY_HERE) -X github.com/outlast-build/outlast.goSumKeys=$(GOSUMKEYS)' -o bin/outlast ./cmd/outlast

.PHONY: packages
packages: ## what is missing of Debian's packages (as root)
	@tools/packages

.PHONY: tools
tools: packages $(addprefix tool-,$(TOOLS)) ## BuildKit, buildx, dockerd, a registry and linters, in .tools/bin

.PHONY: $(addprefix tool-,$(TOOLS))
$(addprefix tool-,$(TOOLS)): tool-%:
	@tools/build $*

.PHONY: images
images: tools ## base images for tests and the demo, in .tools/images
	@$(GO) run ./internal/testenv/mkimages

.PHONY: test
test: lint unit e2e ## everything: format, vet, staticcheck, unit and command tests, end to end

.PHONY: lint
lint: fmt vet staticcheck shellcheck actionlint ## format, vet, staticcheck, shellcheck and actionlint

.PHONY: fmt
fmt:
	@bad=$$(gofmt -l .); \
	if [ -n "$$bad" ]; then echo "not formatted (run gofmt -w):"; echo "$$bad"; exit 1; fi

.PHONY: vet
vet:
	$(GO) vet ./...
	cd examples/conductor-loop && $(GO) vet ./...

.PHONY: staticcheck
staticcheck: tool-staticcheck
	.tools/bin/staticcheck ./...

.PHONY: shellcheck
shellcheck: packages ## the shell scripts
	shellcheck scripts/*.sh tools/build tools/packages .ci/run

.PHONY: actionlint
actionlint: packages tool-actionlint ## the workflows, and the shell in them
	.tools/bin/actionlint .github/workflows/*.yml build-step.yml

.PHONY: unit
unit: tools images ## unit and command tests, with the race detector
	$(GO) test -race -timeout 15m $(UNIT)
	$(GO) test ./diagnose ./history # what counts time, memory and work says nothing with the detector on

.PHONY: e2e
e2e: tools images ## end-to-end tests on a real BuildKit, Docker Engine and registries
	$(GO) mod download
	$(GO) test -p 1 -parallel 6 -timeout 25m ./e2e/... # they wait more than they work

.PHONY: demo
demo: tools images build ## an outage to watch: stock buildx fails, outlast builds (FULL=1: every line)
	@$(GO) build -o .tools/run/demo ./internal/demo && exec .tools/run/demo $(if $(FULL),-full)

.PHONY: outages
outages: tools images build ## run every outage against stock buildx and outlast; writes docs/outages.md
	$(GO) run ./internal/outages -o docs/outages.md

.PHONY: bench
bench: tools images build ## measure; writes docs/benchmarks.md
	$(GO) run ./internal/bench -o docs/benchmarks.md

.PHONY: screenshots
screenshots: packages ## pictures of the dashboard, from records of builds that never were; writes docs/images
	$(GO) test ./internal/web -count=1 -run TestScreenshots -screenshots $(CURDIR)/docs/images

.PHONY: accuracy
accuracy: ## how often diagnoses are right, on labelled outputs of failed builds
	@$(GO) run ./diagnose/accuracy

.PHONY: clean
clean: ## remove what make build made (.tools stays: it takes minutes to make)
	rm -rf bin

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | awk -F'\t' '{printf "  make %-10s %s\n", $$1, $$2}'
