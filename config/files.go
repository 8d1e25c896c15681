// Package config holds the manifests that install Penstock, for programs that install
// it without kubectl. The kustomization in default/ is the same for people.
package config

import "embed"

// Files are the manifests below crd, manager and rbac, each with its kustomization.yaml.
//
//go:embed crd manager rbac
var Files embed.FS

// Notifications are the manifests below notifications.
//
//go:embed notifications
var Notifications embed.FS

// Guard are the policies below guard, which are installed only where they are wanted.
//
//go:embed guard
var Guard embed.FS
