// Command guard writes config/guard: the policies that keep others from moving a release's
// traffic, a file for each kind of routes.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/penstock-io/penstock/internal/guard"
)

func main() {
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "guard:", err)
		os.Exit(1)
	}
}

func write(dir string) error {
	index := "# kubectl apply -k config/guard guards all kinds of routes; each file does so for one kind.\n" +
		"# Generated from internal/guard; do not edit.\napiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n"
	for _, k := range guard.Kinds {
		text, err := guard.Manifest(k, guard.Account)
		if err != nil {
			return err
		}
		index += "- " + k.Name + ".yaml\n"
		text = append([]byte("# Generated from internal/guard; do not edit.\n"), text...)
		if err := os.WriteFile(filepath.Join(dir, k.Name+".yaml"), text, 0o644); err != nil { //nolint:gosec // a manifest
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(index), 0o644) //nolint:gosec // a manifest
}
