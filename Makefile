# Penstock. `make` prints this help.
SHELL := /bin/sh
GO ?= go
# Flags of `make demo`: RATE requests a second, KEEP=1 leaves the cluster up.
RATE ?= 200
KEEP ?=
PORT_BASE ?= 0
STORY ?= .
# Flags of `make bench`: CONTROLLER is another controller's program to compare with, with
# CONTROLLER_FLAGS (separated by commas), ROLLOUTS the sizes, PROFILE a directory for profiles.
# WORKLOAD=traffic measures W2 to W4, releases behind Istio. WORKLOAD=analysis measures analysis, with so many RUNS (finished, running,
# hanging), A1 and A2 for a WINDOW each. WORKLOAD=C1 measures the command line.
# WORKLOAD=N1 kills the controller while messages are due.
WORKLOAD ?= W1
RUNS ?= 6600,1000,500
WINDOW ?= 1m
CONTROLLER ?=
CONTROLLER_FLAGS ?=
ROLLOUTS ?=
PROFILE ?=

.PHONY: help
help: ## Print this help.
	@echo 'Penstock: progressive delivery for Kubernetes. Targets:'
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Release a good and a bad version on a real API server with real traffic (RATE=200, KEEP=1).
	@RATE='$(RATE)' KEEP='$(KEEP)' PORT_BASE='$(PORT_BASE)' GO='$(GO)' sh hack/demo.sh

.PHONY: test
test: verify ## Run every test of both modules, and check formatting and generated files.
	$(GO) test ./...
	cd sandbox && $(GO) build ./... && $(GO) test -p 1 -timeout 30m ./...

.PHONY: verify
verify: ## Check formatting, vet, and that generated files are up to date.
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$unformatted" || { echo "not gofmt-ed: $$unformatted"; exit 1; }
	$(GO) vet ./...
	bash hack/verify.sh

.PHONY: generate
generate: ## Write the generated files anew: deep copies, CRDs, roles, docs.
	bash hack/generate.sh

.PHONY: story
story: ## Run the stories (STORY=name for one) and print their logs.
	$(GO) test ./internal/story -run 'TestStories/$(STORY)' -v

# Metric providers whose answers are fuzzed.
FUZZED = cloudwatch datadog graphite influxdb job kayenta newrelic prometheus skywalking wavefront web

.PHONY: long
long: ## Ten times as many random rollouts, a wider search, a million odd rollouts, conditions and answers of metrics and plugins, fifty kills.
	$(GO) test ./internal/rollout -run TestSearchFinds -more 1 -timeout 60m -v
	$(GO) test ./internal/rollout -run TestOddRollouts -inputs 1000000 -timeout 60m -v
	$(GO) test ./internal/experiment -run Search -lives 40000 -timeout 60m
	$(GO) test ./internal/sim -run Laws -runs 100000 -timeout 60m -v
	$(GO) test ./internal/analysis -run '^$$' -fuzz FuzzConditions -fuzztime 1000000x -timeout 60m
	for p in $(FUZZED); do $(GO) test ./internal/metric/$$p -run '^$$' -fuzz FuzzDecode -fuzztime 100000x -timeout 60m || exit 1; done
	for p in metric step traffic; do $(GO) test ./internal/$$p/plugin -run '^$$' -fuzz FuzzRead -fuzztime 100000x -timeout 60m || exit 1; done
	cd sandbox && $(GO) test ./chaos -kills 50 -rollouts 20 -timeout 60m -v

.PHONY: e2e
e2e: ## Run only the tests against the real API server.
	cd sandbox && $(GO) test -p 1 -timeout 30m ./e2e/... ./cmd/...

# What Istio builds its own releases with.
ISTIO_TAGS = vtprotobuf,disable_pgv

.PHONY: e2e-istio
e2e-istio: ## Compare each step of releases with what Istio's own control plane programs (six minutes to build at first).
	cd sandbox && $(GO) build -o ../bin/ ./cmd/penstock-sandbox
	cd sandbox/istio && $(GO) build -tags $(ISTIO_TAGS) -o ../../bin/ istio.io/istio/pilot/cmd/pilot-discovery
	cd sandbox/istio && $(GO) test -tags $(ISTIO_TAGS) -count=1 -timeout 20m -v .

.PHONY: bench
bench: ## Count what a controller's work costs (CONTROLLER=path compares with another one, ROLLOUTS=100,500, WORKLOAD=traffic or analysis).
	@$(GO) build -o bin/ ./cmd/controller ./cmd/kubectl-penstock
	@cd sandbox && $(GO) build -o ../bin/penstock-sandbox ./cmd/penstock-sandbox
	@bin/penstock-sandbox bench --workload '$(WORKLOAD)' --runs '$(RUNS)' --window '$(WINDOW)' \
		--penstock bin/controller --controller '$(CONTROLLER)' \
		--controller-flags '$(CONTROLLER_FLAGS)' $(if $(ROLLOUTS),--rollouts '$(ROLLOUTS)') --profile '$(PROFILE)'

.PHONY: microbench
microbench: ## Run the Go benchmarks.
	$(GO) test -run '^$$' -bench . ./...

.PHONY: build
build: ## Build the controller and the kubectl plugin (under both names) into bin/.
	$(GO) build -o bin/ ./cmd/...
	cp bin/kubectl-penstock bin/kubectl-argo-rollouts

.PHONY: image
image: ## Build the controller's image penstock-controller:latest (needs docker).
	CGO_ENABLED=0 GOOS=linux $(GO) build -trimpath -ldflags '-s -w' -o bin/linux/controller ./cmd/controller
	docker build -t penstock-controller:latest .

.PHONY: clean
clean: ## Remove what the build made.
	rm -rf bin
