// Package datadog asks Datadog for a metric: timeseries of API v1
// (https://docs.datadoghq.com/api/latest/metrics/#query-timeseries-points) or a scalar of v2
// (https://docs.datadoghq.com/api/latest/metrics/#query-scalar-data-across-multiple-products), as
// analysis-traffic.md §4.2 has it.
package datadog
