// Package appmesh routes with AWS App Mesh: weights on the routes of the VirtualRouter that the
// rollout's VirtualService names, and revisions in the pod selectors of two VirtualNodes.
//
//	VirtualService ──provider──► VirtualRouter  weightedTargets: web-stable 70, web-canary 30
//	                             VirtualNode web-stable  podSelector … rollouts-pod-template-hash
//	                             VirtualNode web-canary  podSelector … rollouts-pod-template-hash
//
// The router pins revisions itself, so Services lead nobody. App Mesh refuses two nodes of one
// selector; where both have one revision, or one has none, a published word stands for it:
// "stable-hash" and "canary-hash".
package appmesh
