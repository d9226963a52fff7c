# What people and the CI run; make alone lists it.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c

# Newer versions come here, by hand, after a look at what they find.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
PLAYWRIGHT := playwright-core@1.65.1
# 5.x asks for a newer Node than Debian has.
EVENTSOURCE := eventsource@4.1.1
# Its emulator answers the tests of signing in.
WORKOS := workos@0.14.0
# The tests of the replica store in it, as in any S3.
VERSITYGW := github.com/versity/versitygw/cmd/versitygw@v1.8.0
# The notes' algorithm is compared with it.
QUILL := quill-delta@5.1.0
# For web/client; openapi-typescript needs the compiler's API, which 7 has no more.
TYPESCRIPT := typescript@5.9.3
OPENAPI_TYPESCRIPT := openapi-typescript@7.13.0
PACKAGES := $(PLAYWRIGHT) $(EVENTSOURCE) $(WORKOS) $(QUILL) $(TYPESCRIPT) $(OPENAPI_TYPESCRIPT)

FUZZTIME ?= 30s
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo development)

.PHONY: help
help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## Serve on http://127.0.0.1:8080 with a demo meeting, on data/connvo.db.
	go run .

.PHONY: build
build: ## Build the static binary ./connvo.
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o connvo .

# SQLite as Go source works on memory that is not Go's, where the race detector sees nothing; watching it took
# six sevenths of the tests' time. Our code, the driver and all else are watched.
RACE := -race -gcflags=modernc.org/sqlite/lib=-race=false -gcflags=modernc.org/libc=-race=false

# handlers take the longest, so they begin first and have the others beside them.
.PHONY: test
test: compiler clients s3 ## Install what the tests need and run all of them, with the race detector.
	CGO_ENABLED=1 go test $(RACE) -timeout 20m ./handlers ./...

.PHONY: check
check: ## Formatting, go vet and staticcheck.
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "run gofmt -w on:"; echo "$$unformatted"; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...

.PHONY: types
types: clients ## Generate the types of web/client anew from what the server says of itself.
	GENERATE=yes go test -count=1 -run TestTypesAreThoseOfTheServer ./web/clients_test

.PHONY: bench
bench: ## Measure the database alone, then a whole server over HTTP.
	go test -run '^$$' -bench . -benchmem ./db ./audit ./realtime ./domain/meetings ./domain/messages
	go run ./bench all

SOAKTIME ?= 10m

.PHONY: soak
soak: s3 ## Let connections come and go for SOAKTIME (10m), in the process and on a server, and look at what is kept; then the law and the notes, longer, and a server that is killed 1,000 times.
	go test -count=1 -timeout 60m -run TestSoak -v ./handlers -soak=$(SOAKTIME)
	go run ./bench churn --duration $(SOAKTIME) --limit 60m
	go test -count=1 -timeout 60m -run TestLiveEqualsFresh ./handlers -rapid.checks=2000
	go test -count=1 -timeout 60m -run TestEverySeedConverges ./domain/notes -seeds=10000
	go test -count=1 -timeout 90m -run TestKilledServerLosesNothing -v . -kills=1000

.PHONY: fuzz
fuzz: ## Run every fuzz test for FUZZTIME (30s).
	@targets=$$(go test -list '^Fuzz' ./... | awk '/^Fuzz/ { names[++n] = $$1 } /^ok/ { for (i = 1; i <= n; i++) print $$2, names[i]; n = 0 }'); \
	[ -n "$$targets" ] || { echo "no fuzz test was found"; exit 1; }; \
	while read -r package name; do \
		echo "$$package $$name"; \
		go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$package"; \
	done <<<"$$targets"

# apt installs Debian packages where it may, and says what to do where not.
apt = if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing $(1)"; \
		apt-get update -qq; \
		DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends $(1) >/dev/null; \
	else echo "please install: $(1)" >&2; false; fi

# The race detector needs a C compiler; the program itself does not.
.PHONY: compiler
compiler:
	@command -v "$$(go env CC)" >/dev/null || { $(call apt,gcc libc6-dev); }

# The tests of clients drive Chromium ($CHROMIUM, or chromium on the path) and
# Node, that of the README jq, those of signing in a WorkOS that Node runs, with packages in
# .tools/node_modules. They skip what cannot be had. npm
# removes what it is not asked for, so that it is asked for all at once.
.PHONY: clients
clients:
	@[ -d web/clients_test ] || exit 0; \
	command -v jq >/dev/null || { $(call apt,jq); } || true; \
	{ command -v node && command -v npm; } >/dev/null || { $(call apt,nodejs npm); } || exit 0; \
	[ -n "$${CHROMIUM:-}" ] || command -v chromium >/dev/null || { $(call apt,chromium); } || true; \
	for package in $(PACKAGES); do \
		grep -qs "\"version\": \"$${package#*@}\"" ".tools/node_modules/$${package%@*}/package.json" || missing=yes; \
	done; \
	[ -z "$${missing:-}" ] || npm install --silent --no-save --no-audit --no-fund --prefix .tools $(PACKAGES)

# An S3 server for the tests of the replica, which skip what needs it where it cannot
# be had. It is no part of go.mod.
.PHONY: s3
s3:
	@[ -x .tools/versitygw ] && [ "$$(cat .tools/versitygw.version 2>/dev/null)" = "$(VERSITYGW)" ] || \
	{ GOBIN="$(CURDIR)/.tools" go install $(VERSITYGW) && echo "$(VERSITYGW)" >.tools/versitygw.version; } || true
