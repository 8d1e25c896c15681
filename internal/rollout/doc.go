// Package rollout decides what one Rollout in one cluster should do next.
//
//	Snapshot ──► Decide ──► Plan
//	(facts)      (pure)     (next status, actions, wake-up, notes)
//
// Decide reads no clock, does no I/O, holds no state and returns no error (L1, L2): a
// missing object or an unreachable cluster is a fact in the Snapshot and a reason in
// the Plan. Every action is safe alone, in any order, with any subset lost (L3); order
// comes from waiting until a fact is seen on a later pass. A Plan acts for the position
// that is already persisted and may persist the next one (L4). Pods are removed only
// from a revision that the data plane is known to send nothing, and weight moves only
// to pods that are observed available (L5). Where the world matches, the Plan is empty (L6).
//
// The flow inside, one file each:
//
//	compile ► goal ► capacity, split, runs ► advance ► status
package rollout
