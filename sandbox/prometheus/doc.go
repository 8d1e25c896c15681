// Package prometheus runs Prometheus itself inside the sandbox's process: its
// scrape manager, its time series database, its query engine and its own HTTP
// API, on one loopback port.
//
//	Targets() ──► scrape manager ──► TSDB in Dir ──► PromQL ──► /api/v1/… on loopback
//
// Labels that a target exposes win over the labels its Target gives it
// (honor_labels), so the demo server's "version" is its own even when its pod
// has a label of that name. There is no write-ahead log: what was measured ends
// with the process. The package must never listen on anything but loopback, and
// scrapes only loopback addresses.
package prometheus
