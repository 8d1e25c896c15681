// Package cli is the kubectl plugin: kubectl-penstock, also under the published name
// kubectl-argo-rollouts.
//
//	promote, abort, retry, pause ──► rollout.Patch ──► API server
//	get, status ◄── render, observed ◄── listed and watched objects
//
// It writes intent and reads facts. It never decides what a rollout does, and it writes
// no status but the published patches of internal/rollout (L7). Standard output carries
// results only; usage, help and errors go to standard error.
//
//	kubectl penstock get rollout hello --watch
//	kubectl penstock promote hello
//	kubectl penstock status hello --timeout 5m   # exit code 0 when healthy, else 1
package cli
