// Package influxdb asks InfluxDB by Flux (https://docs.influxdata.com/influxdb/v2/api/, POST
// /api/v2/query), as analysis-traffic.md §4.10 has it.
package influxdb
