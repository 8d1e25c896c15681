// Package app puts the controller together: the one place that knows every package.
//
//	Options ──New──► App ──Run──► until the context ends or the lease is lost
//
// The tables of routers and providers are in tables.go; nothing registers itself. An App
// is a value without globals, so that a test or the sandbox can run several controllers
// in one process.
package app
