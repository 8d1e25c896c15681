// Package guard writes the manifests that keep everybody else from moving a release's
// traffic: one ValidatingAdmissionPolicy for each kind of route, and its binding.
//
// The Rollouts of the object's namespace are the policy's parameters, so no mark on the
// route is needed: an update is refused when a Rollout names the object, its update is under
// way, the shares differ, and neither Penstock asks nor the label BreakGlass is set. The API
// server itself decides; while it cannot, the update passes.
package guard
