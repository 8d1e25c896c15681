// Package gatewayapi routes with HTTPRoutes of the Kubernetes Gateway API.
//
// A rollout asks for it as it always did, by the plugin section that the published
// router reads:
//
//	trafficRouting:
//	  plugins:
//	    argoproj-labs/gatewayAPI:
//	      httpRoute: web                 # or httpRoutes: [{name: web}]
//	      namespace: shop                # or httpRouteSelector: {matchLabels: …}
//
// It answers with two pure functions, and a thin client around them:
//
//	HTTPRoute ──read──► who gets which weight, and do the gateways follow
//	HTTPRoute ◄─render─ Split
//
// Reading what was rendered gives the Split back (L9). It owns the weights of the stable
// and the canary backend in the rules that hold both, and the label that marks a release
// in progress. A rule that holds only one of the two is the user's, such as a preview
// host on the canary, and stays as it is; so do other backends and their weights, which
// share the requests in proportion to ours:
//
//	stable 70, canary 30, foreign 25  ──►  56 %, 24 %, 20 % of the requests
//
// Gateways tell in status.parents which generation of the route they follow. That is
// the confirmation; without it an Observation states a settle time.
package gatewayapi
