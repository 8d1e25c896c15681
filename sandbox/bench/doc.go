// Package bench measures what a controller of Rollouts costs: the requests that it makes,
// its CPU time, its memory, and how long everything takes.
//
//	for each size, ours and then the other:
//	  start the controller ─► make N Rollouts Healthy ─► change all images at once
//	  ─► wait until all are Healthy again ─► count ─► stop it, delete everything
//
// This is workload W1. A1, A2 and A3 are about AnalysisRuns: many that are over, many that
// measure, and many that wait for a source that hangs.
//
// The controller under test is a process of its own with a user of its own, whose
// requests, and nobody else's, are in the API server's audit log. Everything else (API
// server, ReplicaSet controller, pretend node) runs in this process and is alike for all.
package bench
