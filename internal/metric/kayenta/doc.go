// Package kayenta lets Kayenta judge (https://github.com/spinnaker/kayenta, its REST API), as
// analysis-traffic.md §4.8 has it: a canary execution is started, asked about every 15 s, and
// its score is the verdict.
package kayenta
