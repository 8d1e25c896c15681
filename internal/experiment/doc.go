// Package experiment decides what one Experiment does next: which ReplicaSets it runs,
// which Services stand before them, which analyses measure them, and when it is over.
//
//	Snapshot ──► Decide ──► Plan
//	(facts)      (pure)     (next status, actions, wake-up, notes)
//
// It has the shape of internal/rollout and keeps the same laws: Decide is pure and total
// (L1, L2), every action stands alone (L3), and a Plan acts for what is already persisted
// (L4). Nothing is taken away by what a Plan only now concludes: first the end is in the
// status, then pods go.
//
// Pods are never taken while the owning Rollout lists them as a destination of traffic
// (L5). The two controllers meet in objects only, so each writes before it looks:
//
//	Rollout:     list the pods in its status ──► read the Experiment: is it still on?  ──► send traffic
//	Experiment:  put the end into its status ──► read the Rollout: are they listed?    ──► take pods
//
// Whatever the order, at least one of them sees the other's write.
package experiment
