// Package convert makes a Rollout of a Deployment.
//
//	Deployment, Services, routes ──► Deployment() ──► Rollout, further Services, changed routes, notes
//
// Objects in, objects out: it asks no cluster and has no clock. What it makes is valid
// (internal/rollout.Validate) and what it chose is said in notes, for a person to check.
package convert
