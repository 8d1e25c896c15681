// Package plugin routes by programs of others, over the published net/rpc protocol (surfaces.md
// §5): every name in trafficRouting.plugins but the Gateway API's, which is built in, in order
// of their names. Its gob types carry the published names, and gob matches fields by name, so
// that existing binaries run unchanged.
//
// A plugin has verbs and cannot be read. So the router remembers what it has asked for last:
//
//	nothing remembered ──► what status.canary.weights says, to be written anew once
//	asked for          ──► that, until refreshAfter; then written anew, against drift
//
// and compares a split with it, to send only the verbs that make the difference. What a plugin
// says of its weights (VerifyWeight) is the confirmation; of one that has nothing to say the
// settle time counts.
package plugin
