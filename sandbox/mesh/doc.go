// Package mesh is the sandbox's data plane: one reverse proxy on loopback that
// routes real HTTP requests by what the API server says now.
//
//	VirtualService  DestinationRule  HTTPRoute  Service  EndpointSlice  Pod
//	        └──────────────┴────────────┴─────────┴──────────┴──────────┘
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
//   - A host that no route names goes to the Service of that name: name.namespace
//     with or without .svc or .svc.cluster.local; the bare name works while it is
//     unambiguous. Such a name goes before a wildcard host, as a call inside a
//     cluster does not pass its ingress.
//
// The package must never listen on, or call, anything but loopback.
package mesh
