// Package smi routes with a TrafficSplit of the Service Mesh Interface. The router makes it,
// owned by the Rollout, and its spec.service and spec.backends are the router's whole; what
// else stands in it is not.
//
// A mesh does not say when it has followed, so a settle time counts.
package smi
