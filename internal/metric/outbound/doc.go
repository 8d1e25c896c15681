// Package outbound is how metric providers reach their sources over HTTP: within a time
// limit that the error names, never to an address that only the controller may reach, never
// across hosts by a redirect, and with a bound on what is read.
package outbound
