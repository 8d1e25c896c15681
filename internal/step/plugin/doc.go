// Package plugin carries out steps by programs of others, over the published net/rpc protocol
// (surfaces.md §5). Its gob types carry the published names, and gob matches fields by name, so
// that existing binaries run unchanged.
package plugin
