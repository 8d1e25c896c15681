// Package prometheus measures by an instant or a range query to the Prometheus HTTP
// API, through the official client: POST, and GET where the server refuses POST.
//
// A scalar is a number, a vector the list of its series, a matrix the list of all its
// samples. No series, and nothing but NaN, is NoData. Requests to Amazon's managed
// Prometheus are signed with the controller's credentials (sigv4).
package prometheus
