// Package routertest is the contract that every traffic.Router must pass.
//
// The contract is a list of laws, each a name and a function that returns an error. An
// adapter's test hands in a Fixture, which is a healthy world with foreign things in it,
// and runs them all:
//
//	routertest.Run(t, routertest.Fixture{New: …, Target: …, Objects: …, Mask: …})
//
// The world is controller-runtime's fake client. It counts writes, refuses a cancelled
// context, and can serve stale reads. The laws look at the world after an Apply, never at
// the calls that led there.
//
// A contract is worth what it catches: mutant_test.go keeps small broken routers, and
// each must fail the law that is named for it.
package routertest
