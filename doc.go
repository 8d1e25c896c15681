// Package penstock is progressive delivery for Kubernetes: see README.md and ARCHITECTURE.md.
package penstock
