// Package graphite asks a Graphite server for the datapoints of one target. The wire form is
// the render API's (https://graphite.readthedocs.io/en/stable/render_api.html), the query that
// of analysis-traffic.md §4.9.
package graphite
