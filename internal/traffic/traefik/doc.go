// Package traefik routes with a weighted TraefikService: the weights of the first entries
// of spec.weighted.services that name the stable and the canary Service, of kind Service in
// the rollout's namespace. All other entries and fields are the user's.
//
// Traefik does not say when it has followed, so a settle time counts.
package traefik
