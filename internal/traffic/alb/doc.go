// Package alb routes with an AWS load balancer, through the annotations of its Ingresses
// that the AWS Load Balancer Controller reads:
//
//	<prefix>/actions.<root service>      who gets which share
//	<prefix>/actions.<managed route>     the canary alone
//	<prefix>/conditions.<managed route>  for which requests
//
// For each managed route a path stands in front of each path that leads to the root
// Service. One match is enough, as with the other routers: a rule of the load balancer has
// to meet all of its conditions, so every header has a rule of its own.
//
// Which annotations are ours stands in the published bookkeeping annotation, by rollout.
// When a rollout lets go, the action sends everything to the root Service.
//
// The annotations say what is asked for. With a Verifier AWS is asked what holds, in the
// background; without one a settle time counts.
package alb
