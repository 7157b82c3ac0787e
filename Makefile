# `make demo` to see it, `make test` to check it; everything else is a part of those.
PROXIES ?= 3
GO      ?= go
WASM    := wasm/primeauth/primeauth.wasm

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile

.PHONY: demo
demo: ## control plane, echo service and three real Envoys (PROXIES=8 for eight), here
	@echo "Waxwing demo; Ctrl-C ends it."
	@$(GO) build -o bin/demo ./cmd/demo
	@exec bin/demo -proxies $(PROXIES)

.PHONY: build
build: ## the server, bin/xds
	$(GO) build -o bin/xds ./cmd/xds

# FILTER=rust builds the Rust one; it needs a wasm32 target, and says how to get it.
FILTER  ?= go
VERSION ?= dev
.PHONY: filter
filter: filter-$(FILTER) ## the primeauth module that fleet.yaml names (FILTER=go or rust)

.PHONY: filter-go filter-rust
filter-go:
	GOOS=wasip1 GOARCH=wasm $(GO) build -trimpath -buildmode=c-shared -ldflags="-s -w -buildid= -X main.version=$(VERSION)" -o $(WASM) ./wasm/primeauth/go
filter-rust:
	PRIMEAUTH_VERSION=$(VERSION) sh wasm/primeauth/build-rust.sh $(WASM)

.PHONY: bench
bench: build ## a save until three Envoys serve it, beside the smallest possible server
	$(GO) build -o bin/bench-reload ./bench/reload
	bin/bench-reload
