// Package plugin measures by plugins: programs of others that judge by themselves, over the
// published net/rpc protocol (surfaces.md §5) or that of plugin/v2, whichever the program
// speaks. The gob types of the former carry the published names, and gob matches fields by
// name, so that existing binaries run unchanged.
package plugin
