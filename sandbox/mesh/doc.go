// Package mesh is the sandbox's data plane: one reverse proxy on loopback that
// routes real HTTP requests by what the API server says now.
//
//	VirtualService  HTTPRoute  Ingress  TrafficSplit  IngressRoute
//	DestinationRule    │          │          │        TraefikService   Service  EndpointSlice  Pod
//	        └──────────┴──────────┴─────┬────┴──────────────┴─────────────┴───────────┴─────────┘
//	                                    │ Source (watches)
//	                              Build │ pure
//	                                    ▼
//	request ──Host──► Table ──match──► route ──weights──► ready pod ──Addr──► loopback
//	                                                └──► mirrors (nobody waits)
//
// A Table is immutable and swapped as a whole, so no request sees half a change.
// Pod addresses in the API are made up; the function Addr maps them to local
// listeners.
//
// Weights are exact over short windows: a route picks by smooth weighted round
// robin (each pick adds every weight to its counter, takes the largest, and
// subtracts the sum), so after n requests each of two destinations has had
// n × weight / sum, give or take one. The counters survive a new Table as long
// as the weights of the route stay the same. Mirror percentages are exact in
// the same way.
//
// What is read:
//   - VirtualService: hosts; http routes in order; matches on uri, scheme,
//     method, authority, headers, withoutHeaders and queryParams; weights;
//     mirror, mirrors and their percentages. Matches on source workloads never
//     match, because requests come from outside. Timeouts, retries and header
//     changes are ignored. Redirect, rewrite, fault, delegate and directResponse
//     answer 500 with reason unsupported.
//   - DestinationRule: host, and subsets by labels. Traffic policies are ignored.
//   - HTTPRoute: hostnames or a Service as parent; matches in the precedence
//     order of the Gateway API; weights (sum 0 answers 500); RequestMirror.
//     Header modifiers are ignored; other filters answer 500 and make the route
//     not Accepted. Every parent counts as ours.
//   - Ingress of class nginx, by the annotation or the field: hosts (* is one
//     label), paths, the default backend, ports by name. With the annotations
//     canary, canary-weight, canary-weight-total, canary-by-header,
//     canary-by-header-value and canary-by-header-pattern of
//     nginx.ingress.kubernetes.io it shares the host and path of another Ingress;
//     the header goes before the weight. A canary without ready pods fails its
//     share, where ingress-nginx would spare it. app-root, permanent-redirect,
//     rewrite-target, temporal-redirect and use-regex answer 500; canary-by-cookie
//     and all other annotations are ignored, and so is TLS.
//   - TrafficSplit of SMI, v1alpha1 to v1alpha3: a request to the root Service, by
//     any of its names, is split over the backends. Weights are quantities. matches
//     answers 500.
//   - IngressRoute of Traefik: rules of Host, Path, PathPrefix and Header with &&,
//     || and parentheses; the priority, else the length of the rule; services that
//     name a Service with its port, or a TraefikService. TraefikService: weighted,
//     also inside each other, 8 deep; mirroring, with mirrors that lead to one
//     Service each. Middlewares, parentRefs and other types answer 500, and so do
//     Services in another namespace. A rule with another matcher is left out.
//   - What several kinds say of one host is asked in this order: VirtualService,
//     HTTPRoute, Ingress, IngressRoute, TrafficSplit.
//   - A host that no route names goes to the Service of that name: name.namespace
//     with or without .svc or .svc.cluster.local; the bare name works while it is
//     unambiguous. Such a name goes before a wildcard host, as a call inside a
//     cluster does not pass its ingress.
//
// The package must never listen on, or call, anything but loopback.
package mesh
