// Package examples holds manifests that can be applied as they are, one folder each.
package examples

import "embed"

// Files are the folders of this package.
//
//go:embed */*.yaml
var Files embed.FS
