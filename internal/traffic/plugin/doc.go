// Package plugin routes by programs of others: every name in trafficRouting.plugins but the
// Gateway API's, which is built in, in order of their names.
//
// Those of the published net/rpc protocol (surfaces.md §5) have verbs and cannot be read. Gob
// matches fields by name, and the types for it carry the published ones, so that existing
// binaries run unchanged. The router remembers what it has asked for last:
//
//	nothing remembered ──► what status.canary.weights says, to be written anew once
//	asked for          ──► that, until refreshAfter; then written anew, against drift
//
// and compares a split with it, to send only the verbs that make the difference. What a plugin
// says of its weights (VerifyWeight) is the confirmation; of one that has nothing to say the
// settle time counts.
//
// Those of plugin/v2 are routers like others: they are read at every look, get whole splits,
// and nothing is remembered of them. They come after those of the first protocol.
package plugin
