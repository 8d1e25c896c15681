// Package kube speaks to one Kubernetes API: it turns objects into facts, and actions
// into writes.
//
//	Rollout, ReplicaSets, Services,      ──Observe──► rollout.Snapshot
//	routes, AnalysisRuns, templates
//	rollout.Plan                         ──Apply────► the same objects
//	AnalysisRun, Secrets, measurements   ──Observe──► analysis.Snapshot
//	analysis.Plan                        ──Apply────► measurements in the background
//
// It decides nothing. Everything is read from caches that hold only what is ours: no
// Secret and no Pod is ever cached. Every write goes through the recording client of
// internal/loop (L8), is minimal, and is safe alone (L3): the actions of a plan are
// tried one after the other, and one that fails stops no other.
package kube
