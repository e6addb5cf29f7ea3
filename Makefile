# Every target installs what it needs: with apt-get where it is root, else it
# says what to install. Versions of Go tools are pinned here and nowhere else.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
GO ?= go
CACHE ?= $(CURDIR)/.cache
export CGO_ENABLED ?= 0

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULN := golang.org/x/vuln/cmd/govulncheck@v1.9.0
VERSITYGW := github.com/versity/versitygw/cmd/versitygw@v1.8.0

# What is linked with dqlite: a console's store on several machines.
DQLITE := $(CACHE)/dqlite$(ARCH:%=-%)
CROSS_arm64 := aarch64-linux-gnu-gcc
WITH_DQLITE := $(if $(ARCH),GOARCH=$(ARCH) CC=$(CROSS_$(ARCH))) CGO_ENABLED=1 CGO_CFLAGS="-I$(DQLITE)/include" CGO_LDFLAGS="-L$(DQLITE)/lib -ldqlite -l:libuv_a.a -llz4 -lsqlite3 -lm -ldl"
TAGS := -tags dqlite,nosqlite3
ON_DQLITE := ./store/dqlite ./e2e/release ./e2e/operating

.PHONY: help build release run test check e2e torture bench bench-sync sim-sync bench-console fuzz golden vuln test-arm64 tools-run tools-browser tools-test tools-vm tools-dqlite clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

build: ## bin/popup, static, pure Go
	$(GO) build -trimpath -ldflags '-s -w' -o bin/popup ./cmd/popup

release: tools-dqlite ## bin/popup, static, with dqlite, which keeps a console on several machines: VERSION=… ARCH=arm64
	$(WITH_DQLITE) $(GO) build -trimpath $(TAGS),netgo,osusergo -ldflags '-s -w -X main.version=$(or $(VERSION),dev) -linkmode external -extldflags "-static"' -o $(or $(BIN),bin/popup) ./cmd/popup

run: build tools-run ## start a console; open the claim link it prints: make run LISTEN=HOST:PORT DATA=DIR
	./bin/popup console --listen $(or $(LISTEN),127.0.0.1:8080) $(if $(DATA),--data-dir $(DATA))

test: tools-test tools-dqlite ## everything but the virtual machines
	CGO_ENABLED=1 $(GO) test -race -shuffle=on -timeout 30m ./...
	$(WITH_DQLITE) $(GO) test -race -shuffle=on -timeout 20m -skip Arm64 -p 1 $(TAGS) $(ON_DQLITE)
	$(WITH_DQLITE) $(GO) test -race -timeout 10m -run 'ThreeConsoles|ClusterIsRefused' $(TAGS) ./cmd/popup

test-arm64: tools-dqlite ## the release for arm64, run here by qemu-user
	@scripts/need qemu-aarch64:qemu-user
	$(WITH_DQLITE) DQLITE_ARM64=$(CACHE)/dqlite-arm64 $(GO) test -count 1 -timeout 30m -run Arm64 -v $(TAGS) ./e2e/release

check: tools-dqlite ## format, vet, staticcheck, golangci-lint (errcheck), the import table
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./... && $(GO) vet -tags vm,browser,cluster ./...
	$(WITH_DQLITE) $(GO) vet $(TAGS) $(ON_DQLITE) ./cmd/popup
	$(GO) run $(STATICCHECK) ./... && $(GO) run $(STATICCHECK) -tags vm,browser,cluster ./e2e/... ./cloud/vm
	$(WITH_DQLITE) $(GO) run $(STATICCHECK) $(TAGS) $(ON_DQLITE) ./cmd/popup
	$(GO) run $(GOLANGCI) run ./...
	$(GO) test ./internal/archtest

# What is asked for by name needs only what it runs on.
BROWSER = $(findstring rowser,$(T))
CLUSTER = $(filter cluster,$(T))
E2E := $(GO) test -timeout 60m -count 1 -v
e2e: $(if $(CLUSTER),tools-test tools-dqlite,$(if $(BROWSER),tools-run,tools-vm) $(if $(T),$(if $(BROWSER),tools-browser),tools-browser)) ## virtual machines with real cloud-init, and a real browser: make e2e T=regex KEEP=1; T=browser: the browser alone, OUT=DIR for pictures; T=cluster: three consoles that lose what machines lose
ifeq ($(CLUSTER),cluster)
	$(E2E) -tags cluster ./e2e/cluster
else
	KEEP=$(KEEP) OUT=$(OUT) $(E2E) -tags vm,browser -run '(?i)$(or $(T),.)' $(if $(BROWSER),,./e2e ./cloud/vm) $(if $(T),$(if $(BROWSER),./e2e/browser),./e2e/browser)
endif

bench: tools-test ## time to the first page, to a healthy app, of a poll and of an update
	$(GO) test -run '^$$' -bench . -benchtime 5x ./e2e/appliance ./datasync

bench-sync: tools-test ## polls, updates and clones against the peers: REPS=5 GIT_SYNC=PROGRAM OUT=docs/BENCHMARKS.md
	REPS=$(or $(REPS),5) OUT=$(OUT) GIT_SYNC=$(GIT_SYNC) $(GO) test -timeout 60m -count 1 -v -run '^TestSync$$' ./e2e/bench

sim-sync: tools-test ## 10,000 pollers in compressed time; fails when they are uneven or over the budget
	POLLERS=$(or $(POLLERS),10000) OUT=$(OUT) $(GO) test -timeout 30m -count 1 -v -run '^TestSim$$' ./e2e/bench

bench-console: ## a console on one core with INSTANCES=10000 that report, and BROWSERS=1000: SECONDS=180 OUT=docs/BENCHMARKS.md
	INSTANCES=$(or $(INSTANCES),10000) BROWSERS=$(or $(BROWSERS),1000) PERIOD=$(or $(PERIOD),30) SECONDS=$(or $(SECONDS),180) OUT=$(OUT) \
	  $(GO) test -timeout 60m -count 1 -v -run '^TestBench$$' ./e2e/console

FUZZTIME ?= 20s
fuzz: ## every fuzz target for FUZZTIME
	@for pkg in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "== $$pkg $$target"; $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x $$pkg; \
	  done; \
	done

torture: tools-test ## kills and full disks at N system calls of each kind, and N random kills, and of a console KILLS: make torture N=1000 KILLS=100
	N=$(or $(N),1000) CGO_ENABLED=1 $(GO) test -race -timeout 120m -count 1 -v -run 'Torture|TestKill' ./datasync ./e2e/appliance
	KILLS=$(or $(KILLS),100) $(GO) test -timeout 60m -count 1 -v -run '^TestKill$$' ./e2e/console

golden: ## rewrite golden files, the JSON Schema and the sample; read the diff before committing it
	$(GO) test ./userdata ./apps -update
	$(GO) test ./e2e/catalogue -run TestSampleIsCurrent -update

vuln: ## known faults in what we depend on
	$(GO) run $(GOVULN) ./...

tools-run:
	@scripts/need php-fpm:php-fpm python3:python3

tools-browser:
	@scripts/need chromium:chromium npm:npm

tools-test:
	@scripts/need git:git ssh-keygen:openssh-client gpg:gnupg gcc:gcc /usr/include/stdlib.h:libc6-dev php-fpm:php-fpm python3:python3 sqlite3:sqlite3 \
	  shellcheck:shellcheck busybox:busybox curl:curl wget:wget ip:iproute2 nft:nftables \
	  mmdebstrap:mmdebstrap mke2fs:e2fsprogs zstd:zstd dpkg-scanpackages:dpkg-dev
	@test -x $(CACHE)/bin/versitygw || GOBIN=$(CACHE)/bin $(GO) install -trimpath $(VERSITYGW)

tools-dqlite:
	@scripts/dqlite $(DQLITE) $(ARCH)

tools-vm: tools-test
	@scripts/need qemu-system-x86_64:qemu-system-x86 qemu-img:qemu-utils

clean: ## what was built; the cache of images stays
	rm -rf bin e2e/out
