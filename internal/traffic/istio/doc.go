// Package istio routes with an Istio VirtualService, and with the subsets of a
// DestinationRule where the rollout names one.
//
// It answers two questions with two pairs of pure functions, and a thin client around
// them:
//
//	VirtualService ──read──► who gets which weight   ◄──render── Split
//	DestinationRule ─read──► which revision is whom  ◄──render── Split
//
// Reading what was rendered gives the Split back (L9). It owns the weight of the two
// destinations on the chosen routes, the label rollouts-pod-template-hash on the two
// subsets, and the annotation that names the rollout on the DestinationRule; every
// other field, route, destination and subset stays as it is. Three things come and go:
//
//   - An extra destination is appended to each chosen route, with the port of its Service
//     behind which its pods are, and with subsets a subset of its name that tells the revision. Which ones are ours stands in the annotation
//     penstock.io/traffic of each object (traffic.Claim), or is told by the name that an
//     experiment's Service has.
//   - A header route sends what meets one of its matches to the canary destination.
//   - A mirror route goes by the weights of the chosen route and copies to the canary.
//
// Header and mirror routes are HTTP routes whose names stand in managedRoutes; they are
// ours by that name, stand in that order in front of all others, and go when the Split has
// them no more. One that is not exactly as it would be written reads as broken, and is
// mended. With several chosen HTTP routes they follow the first.
//
// A destination that is none of these is foreign. It keeps its weight, and the stable
// destination gets what is then left of 100:
//
//	canary 30, extra 20, foreign 10  ──►  stable 40
//	canary 95, foreign 10            ──►  stable 0     (the proxies scale 105 down to 100)
//
// In a Split the foreign share counts to the stable side.
//
// The package never creates or deletes an object, and cannot confirm: a proxy does not tell
// which configuration it follows, so an Observation states a settle time.
package istio
