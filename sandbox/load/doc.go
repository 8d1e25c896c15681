// Package load sends a steady stream of HTTP requests to the sandbox's gateway.
//
// It is an open loop: request n is due at start + n/rate whatever became of the
// requests before it, as with real users, and its latency counts from when it
// was due. A slow server therefore shows as latency, not as fewer requests.
// When too many requests are in flight, further ones are counted as dropped
// instead of waiting.
//
//	due times ──► at most MaxInFlight requests ──► Report (by status, by version, p50, p99)
//
// Exactly is the other way: so many requests, as fast as they are answered, to
// count where they went. Binomial says which counts chance allows.
//
// It must call nothing but loopback addresses.
package load
