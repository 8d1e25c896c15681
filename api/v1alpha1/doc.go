// Package v1alpha1 holds the five kinds of argoproj.io/v1alpha1: what users write and what
// the controller reports. Field names, in JSON and in Go, are those of the published API,
// because manifests, Argo CD, kubectl plugins and gob-speaking plugins carry them.
//
// Nothing here decides: only types, wire names, hashes that are part of the wire form, and
// readers of values such as durations.
//
// +kubebuilder:object:generate=true
// +groupName=argoproj.io
package v1alpha1
