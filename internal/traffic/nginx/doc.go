// Package nginx routes with ingress-nginx: beside each stable Ingress the router makes a
// canary Ingress, owned by the Rollout, with the paths that lead to the stable Service, led
// to the canary Service, and the annotations canary, canary-weight and canary-weight-total.
// The stable Ingress is read and never written.
//
// Of the canary Ingress the spec is the router's whole, and those annotations that it has
// written, which it remembers in a claim; labels and other annotations are not.
//
// ingress-nginx does not say when it has followed, so a settle time counts.
package nginx
