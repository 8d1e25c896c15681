// Package controlplane runs a real Kubernetes control plane inside this process:
//
//	etcd (unix socket) ◄── kube-apiserver (127.0.0.1, TLS, RBAC) ◄── built-in controllers
//	                              ▲
//	                              └── whoever holds Kubeconfig() or RESTConfig()
//
// The API server, and the controllers for Deployments, ReplicaSets, Jobs,
// EndpointSlices, disruption budgets, autoscalers, namespaces, service accounts,
// aggregated roles and garbage collection are Kubernetes' own. There is no scheduler
// and no kubelet: package node plays both.
//
// It needs no root, listens on loopback only, and removes what it made when it stops.
// Kubernetes keeps feature gates and its log in package variables, so a process holds
// at most one control plane at a time; several processes may run side by side.
//
//	plane, err := controlplane.Start(ctx, controlplane.Options{})
//	defer plane.Stop()
//	client, err := kubernetes.NewForConfig(plane.RESTConfig())
package controlplane
