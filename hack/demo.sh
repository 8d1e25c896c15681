#!/bin/sh
# Builds the sandbox and runs its demo; `make demo` calls it.
#   RATE=200 requests a second   KEEP=1 leaves the cluster up   PORT_BASE=0 free ports
#   DIR= state directory, default a temporary one   GO=go
set -u
cd "$(dirname "$0")/.." || exit 1
go=${GO:-go}

refuse() {
	echo "make demo: $1" >&2
	exit 1
}

# Outside any module the go command does not fetch another version of itself.
want=$(awk '$1 == "go" { print $2 }' sandbox/go.mod)
command -v "$go" >/dev/null 2>&1 || refuse "Go $want or newer is needed, and there is no command \"$go\"; get it from https://go.dev/dl."
have=$(cd / && "$go" env GOVERSION 2>/dev/null | sed 's/^go//; s/[^0-9.].*//')
older=$(printf '%s\n%s\n' "$have" "$want" | awk -F. '{ v[NR] = $1 * 1000000 + $2 * 1000 + $3 } END { print (v[1] < v[2]) ? "yes" : "no" }')
[ "$older" = no ] || refuse "Go $want or newer is needed, and \"$go\" is version ${have:-unknown}; get it from https://go.dev/dl."

made=
[ -d bin ] || made=bin
log=bin/.build-$$.log
(mkdir -p bin && : >"$log") 2>/dev/null || refuse "cannot write to $(pwd)/bin, where the program is built; use a copy of the repository that is writable."
build=
tidy() {
	[ -z "$build" ] || kill "$build" 2>/dev/null
	rm -f "$log"
	[ -z "$made" ] || rmdir "$made" 2>/dev/null # stays when the program is in it
}
trap 'tidy; exit 130' INT TERM

cache=$("$go" env GOCACHE)
mkdir -p "$cache" 2>/dev/null && [ -w "$cache" ] || { tidy; refuse "cannot write to Go's build cache $cache; set GOCACHE to a directory that is writable."; }
temporary=${TMPDIR:-/tmp}
[ -w "$temporary" ] || { tidy; refuse "cannot write to the temporary directory $temporary; set TMPDIR to one that is writable."; }

echo "Building the sandbox: it holds Kubernetes, etcd and Prometheus, so about 10 minutes the first time and seconds from then on."
began=$(date +%s)
# kubectl wants to know the version of the server.
kubernetes=$(awk '$1 == "k8s.io/kubernetes" { print $2 }' sandbox/go.mod)
stamp="-X k8s.io/component-base/version.gitVersion=$kubernetes"
(cd sandbox && exec "$go" build -v -ldflags "$stamp" -o ../bin/ ./cmd/penstock-sandbox) >"$log" 2>&1 &
build=$!
told=$began
while kill -0 "$build" 2>/dev/null; do
	sleep 1
	now=$(date +%s)
	if [ $((now - told)) -ge 5 ]; then
		told=$now
		latest=$(tail -n 1 "$log")
		case $latest in
		*/cmd/penstock-sandbox) echo "  $((now - began)) s: linking" ;;
		*) echo "  $((now - began)) s: $(wc -l <"$log" | tr -d ' ') of at most 2800 packages compiled; latest ${latest:-none yet}" ;;
		esac
	fi
done
if wait "$build"; then
	build=
	echo "Built in $(($(date +%s) - began)) s."
	tidy
else
	build=
	echo "make demo: the sandbox could not be built; the compiler says:" >&2
	tail -n 20 "$log" >&2
	tidy
	exit 1
fi
trap - INT TERM

set -- demo --rate "${RATE:-200}" --port-base "${PORT_BASE:-0}"
[ -z "${DIR:-}" ] || set -- "$@" --dir "$DIR"
case "${KEEP:-}" in '' | 0 | false) ;; *) set -- "$@" --keep ;; esac
exec bin/penstock-sandbox "$@"
