// Package istio asks Istio's own control plane what Penstock's objects mean.
//
//	penstock-sandbox up ──► API server, node, Penstock
//	        ▲                     │ VirtualService, DestinationRule,
//	        │ kubeconfig          ▼ Services, EndpointSlices
//	pilot-discovery ◄──────── watches
//	        │ xDS, plain gRPC on loopback
//	        ▼
//	a sidecar's subscription: routes, clusters, endpoints
//
// The tests release, promote and abort, and compare at every step what a sidecar is
// programmed with. It is a module of its own, so that neither Penstock nor the sandbox takes
// on the versions that Istio is built with; therefore both run as programs beside the test.
// `make e2e-istio` builds them and runs it.
package istio
