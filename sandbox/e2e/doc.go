// Package e2e holds tests of Penstock on a real API server with real traffic. They share
// one sandbox; each test has a namespace of its own. There is nothing here but tests.
package e2e
