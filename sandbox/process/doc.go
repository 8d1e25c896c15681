// Package process runs a controller of Rollouts as a process of its own, with the
// published flags, a kubeconfig and free ports, and measures what it uses.
package process
