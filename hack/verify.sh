#!/usr/bin/env bash
# Fails when a generated file is not what `make generate` writes.
set -euo pipefail
cd "$(dirname "$0")/.."

before=$(mktemp -d)
trap 'rm -rf "$before"' EXIT
cp -R api config docs plugin "$before"
bash hack/generate.sh
for dir in api config docs plugin; do
	if ! diff -r "$before/$dir" "$dir"; then
		echo "$dir: generated files were out of date; they have been written anew, commit them" >&2
		exit 1
	fi
done
# Every published edge case, defect and outage has a test, or a reason why it has none.
go run ./hack/cover -missing
