// Package ambassador routes with Mappings of Ambassador (Emissary-ingress): beside each Mapping
// that a rollout names, which is never written, it keeps one for the canary, with a weight.
//
//	Mapping web         {prefix: /, service: stable:80}
//	Mapping web-canary  {prefix: /, service: canary:80, weight: 30}   owned by the Rollout
//
// The canary's Mapping is a copy of the user's that leads to the canary Service; what changes
// there follows. It stays with weight 0 between releases, so that no request in flight loses
// its cluster, and goes when the rollout lets go of it.
package ambassador
