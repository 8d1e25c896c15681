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
// other field, route, destination and subset stays as it is.
//
// A destination that is neither stable nor canary keeps its weight, and the stable
// destination gets what is then left of 100:
//
//	canary 30, foreign 10  ──►  stable 60
//	canary 95, foreign 10  ──►  stable 0     (the proxies scale 105 down to 100)
//
// In a Split the foreign share counts to the stable side.
//
// The package never creates or deletes an object, never touches a managed route
// (spec.trafficRouting.managedRoutes), and cannot confirm: a proxy does not tell which
// configuration it follows, so an Observation states a settle time.
package istio
