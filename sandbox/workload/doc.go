// Package workload is the demo application that sandbox pods run: a real HTTP
// server on loopback whose failures and slowness are chosen by its image.
//
//	image tag / annotations ──Parse──► Spec ──Start──► Server on 127.0.0.1:<port>
//	                                                    ├── /          small JSON, 200 or 500
//	                                                    ├── /healthz   200, not counted
//	                                                    └── /metrics   Prometheus text
//
// The image is any reference whose repository ends in penstock/demo. Its tag is
//
//	<version> { "-e" <percent> | "-fails-" <percent> "pct" }
//	          { "-l" <duration> | "-slow-" <duration> }
//
// so v1 is healthy, v3-e5-l300ms and v3-fails-5pct-slow-300ms both answer 5 % of
// their requests with status 500 and take 300 ms in the median. The words "bad"
// and "error" do not occur in the grammar, because the sandbox's node turns an
// image with such a tag into ImagePullBackOff. The pod annotations
// sandbox.penstock.io/error-rate ("5%") and sandbox.penstock.io/latency
// ("300ms") override the tag.
//
// Faults are exact, not random: among any n consecutive requests of one server
// the number of failures differs from n × rate by less than one. A server must
// never listen on, or call, anything but loopback.
package workload
