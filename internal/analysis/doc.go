// Package analysis decides AnalysisRuns: which measurements are due, what a
// measurement means, when a run is over and with which verdict.
//
//	run ──► Snapshot ──► Decide ──► Plan{Status, Measure/Stop/Delete, Wake}
//	                                       │
//	                      providers answer ▼
//	        status ◄── Fold ◄── []Outcome{Result or error}
//
// Decide gives the run's verdict, Fold gives a measurement's and a metric's. Build
// makes a run's spec from templates and a Rollout. Conditions are evaluated here, in
// one place for all providers, and an answer without data is a fact of its own: see
// noData in nodata.go.
//
// The package is pure (laws L1, L2): no clock, I/O, goroutine or log, also not inside a
// condition, whose now() is the moment of the measurement. Secrets never enter a
// Snapshot or a Plan: the caller resolves them at the last moment with Resolve.
package analysis
