// Package demo releases a good and a bad version of examples/demo on a sandbox, under
// load, tells what happens, and measures it from outside the controller:
//
//	route object, Rollout, AnalysisRuns ──watch──┐
//	gateway counters ────────────────────────────┼──► lines, table, Result (one JSON object)
//	load client, Prometheus ─────────────────────┘
//
// Every number is measured here; none is taken from what the controller says of itself,
// except when the answer of a measurement arrived.
package demo
