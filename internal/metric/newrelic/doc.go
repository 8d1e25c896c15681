// Package newrelic asks New Relic by NRQL over NerdGraph
// (https://docs.newrelic.com/docs/apis/nerdgraph/examples/nerdgraph-nrql-tutorial/), as
// analysis-traffic.md §4.3 has it.
package newrelic
