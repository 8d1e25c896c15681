// Package wavefront asks Wavefront (VMware Aria Operations for Applications) for a chart of one
// moment (https://docs.wavefront.com/wavefront_api.html, GET /api/v2/chart/api), as
// analysis-traffic.md §4.5 has it.
package wavefront
