// Package wire is the second protocol of plugins as Go code, generated from plugin.proto.
package wire
