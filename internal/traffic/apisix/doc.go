// Package apisix routes with an ApisixRoute: the weights of the backends that are the stable
// and the canary Service, in the rules that the Rollout names, or in the one that has the
// route's own name. All else of it is the user's.
//
// A header route is an ApisixRoute of its own, named after the managed route and owned by
// the Rollout. It has for each of those rules and each match a copy of the rule with one
// more expression, the canary as its only backend and a priority above the rule's: one
// match is enough, as with the other routers. A prefix becomes a regular expression with
// the user's text quoted.
//
// APISIX does not say when it has followed, so a settle time counts.
package apisix
