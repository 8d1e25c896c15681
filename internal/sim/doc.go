// Package sim is a deterministic world for one Rollout: pods that come up and die, a data
// plane that follows late, metrics as told, people, autoscalers and GitOps that write, and
// a controller that may lose any write and may crash between any two. It runs the real
// planners, internal/rollout and internal/analysis, on virtual time.
//
//	script or seed ──► World ──► Snapshot ──► rollout.Decide ──► Plan ──► World
//	                    │  └── next event: a pod, a proxy, a timer, a fault
//	                    └── laws, checked at every write and every tick
//
// Nothing here reads a clock or a random source that the caller did not seed: the same
// seed gives the same run. A run that breaks a law prints its seed.
package sim
