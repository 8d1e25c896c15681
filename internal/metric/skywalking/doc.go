// Package skywalking asks a SkyWalking OAP server by GraphQL
// (https://skywalking.apache.org/docs/main/latest/en/api/query-protocol/), as
// analysis-traffic.md §4.11 has it.
package skywalking
