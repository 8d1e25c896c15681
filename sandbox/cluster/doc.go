// Package cluster puts the parts of the sandbox together: a control plane, a node, a
// gateway, a Prometheus and the Penstock controller, in one process and on loopback.
//
//	               kubeconfig
//	                   │
//	etcd ◄─ kube-apiserver ◄─ built-in controllers, node, Penstock (as its ServiceAccount)
//	                   │                             │
//	             routes, endpoints           pods: real servers ◄── Prometheus
//	                   ▼                             ▲                  ▲
//	load ──────────► gateway ────────────────────────┘      measurements of Penstock
//
// The controller reaches the API server as the ServiceAccount that config/ gives it, so
// what works here works with exactly that role.
//
//	c, err := cluster.Start(ctx, cluster.Options{})
//	defer c.Stop()
package cluster
