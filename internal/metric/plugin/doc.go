// Package plugin measures by plugins: programs of others that judge by themselves, over the
// published net/rpc protocol (surfaces.md §5). Its gob types carry the published names, and
// gob matches fields by name, so that existing binaries run unchanged.
package plugin
