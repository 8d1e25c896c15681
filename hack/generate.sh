#!/usr/bin/env bash
# Regenerates what is derived: from api/ deep copies beside the types and CRDs in config/crd,
# from plugin/v2 the Go code of the protocol, from comments roles and docs.
set -euo pipefail
cd "$(dirname "$0")/.."

generated=$(mktemp -d)
trap 'rm -rf "$generated"' EXIT

controller_gen() { go tool -modfile=go.tools.mod controller-gen "$@"; }

controller_gen object paths=./api/...
controller_gen crd:maxDescLen=0,generateEmbeddedObjectMeta=true paths=./api/... "output:crd:dir=$generated"
mkdir -p config/crd
go run ./hack/crd "$generated" config/crd
controller_gen rbac:roleName=penstock-controller "paths={./internal/kube,./internal/app}" output:rbac:dir=config/rbac
go run -modfile=go.proto.mod hack/proto/main.go plugin/v2/wire/plugin.proto
go run ./hack/reasons docs/reasons.md internal/rollout/reason.go internal/experiment/reason.go
go run ./hack/cover
go run ./hack/nodata
go run ./hack/notices config/notifications/configmap.yaml
go run ./hack/lintrules docs/lint-rules.md
mkdir -p config/guard
go run ./hack/guard config/guard
