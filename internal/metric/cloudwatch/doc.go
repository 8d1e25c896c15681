// Package cloudwatch measures by GetMetricData of Amazon CloudWatch, through the AWS SDK
// and with the credentials of the controller.
//
// The result is the list of the answers to those queries that return data, each with Id,
// Label, Values, Timestamps (newest first, both), StatusCode and Messages. A query that
// returns data and has no values is NoData.
package cloudwatch
