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

.PHONY: filter
filter: ## the primeauth module that fleet.yaml names
	GOOS=wasip1 GOARCH=wasm $(GO) build -trimpath -buildmode=c-shared -ldflags="-s -w -buildid=" -o $(WASM) ./wasm/primeauth/go
