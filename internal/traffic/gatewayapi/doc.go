// Package gatewayapi routes with HTTPRoutes, GRPCRoutes, TCPRoutes and TLSRoutes of the
// Kubernetes Gateway API.
//
// A rollout asks for it as it always did, by the plugin section that the published
// router reads:
//
//	trafficRouting:
//	  plugins:
//	    argoproj-labs/gatewayAPI:
//	      httpRoute: web                 # or httpRoutes: [{name: web}]
//	      tcpRoute: db                   # grpcRoute and tlsRoute alike, several kinds at once
//	      namespace: shop                # or httpRouteSelector: {matchLabels: …}
//
// It answers with two pure functions, and a thin client around them:
//
//	route ──read──► who gets which weight, and do the gateways follow
//	route ◄─render─ Split
//
// The table in kind.go says what is special of each kind. Rules of HTTPRoutes and GRPCRoutes
// look at requests, and so carry all that a Split has. Those of TCPRoutes and TLSRoutes take
// connections: they carry weights and extra destinations. Only kinds that a section tells of
// are read and watched, in the newest version that the cluster serves.
//
// Reading what was rendered gives the Split back (L9). It owns the weights of the stable
// and the canary backend in the rules that hold both, and the label that marks a release
// in progress. A rule that holds only one of the two is the user's, such as a preview
// host on the canary, and stays as it is; so do other backends and their weights, which
// share the requests in proportion to ours:
//
//	stable 70, canary 30, foreign 25  ──►  56 %, 24 %, 20 % of the requests
//
// What comes and goes is added beside each rule that holds both backends:
//
//   - An extra destination is one more backend of that rule, a copy of the canary's with
//     another name: its Service listens on the same port.
//   - A header route is a copy of the rule, in front, with the canary as its only backend.
//     Each match of the rule is joined with each match of the route: one of them is enough.
//     A prefix becomes a regular expression with the user's text quoted. To a GRPCRoute a
//     path is /service/method.
//   - A mirror route is such a copy, too, with the rule's own weights and one more
//     RequestMirror filter.
//
// A header route stands on the routes that the section lets have it (httpRoute, grpcRoute, or
// useHeaderRoutes), a mirror route on all that look at requests. Where a request is meant
// that none of the rules takes, or a comparison that the Gateway API has no word for, the
// split is refused.
//
// How the additions are known again: the annotation penstock.io/traffic on the route
// holds the rollout's traffic.Claim. It lists the extra Services, the managed routes as the
// user wrote them (a quoted prefix cannot be read back from a rule), and for each added
// rule its name and a digest of its content:
//
//	{"shop/web":{"headers":[{"name":"hdr","match":[…]}],"rules":["hdr#5a1f…","hdr-1#09c2…"]}}
//
// The first rule of route hdr is named hdr, further ones hdr-1, hdr-2, as the published router
// names them. A rule is ours if it has such a name, and is claimed or does what such a rule is
// for (it sends to the canary alone, or copies requests to it); or if it has no name and its
// digest is claimed, because CRDs before Gateway API 1.4 drop names. Another rule with the
// name of a managed route is the user's, and a problem until one of the two is renamed.
//
// What the API server makes of new rules is asked with a dry run before they are written:
// the digests are of that form, and a field that would be dropped (such as percent) is
// refused. A rule of ours that is not as it was written reads as broken and is mended.
//
// Gateways tell in status.parents which generation of the route they follow. That is
// the confirmation; without it an Observation states a settle time.
package gatewayapi
