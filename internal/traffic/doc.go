// Package traffic is the vocabulary for who receives which share of the requests.
//
// A Split is what we want or see: destinations whose weights add up to a fixed
// total. A Router makes a Split so (Apply) and tells what it sees (Observe). Between
// a write and its effect time passes, so a State keeps every split that the data
// plane may still be serving:
//
//	write 5 % ──► object says 5 % ──► proxies follow, one by one ──► all follow
//	              Written = 5         Live = {0, 5}                  Live = {5}
//
// The package is pure (layer 0): it computes on values and declares interfaces.
// Adapters live in the folders below, and each passes routertest.
package traffic
