// Package notify says who is told what about a Rollout: it reads the published ConfigMap and
// Secret, the subscriptions on the object, and makes messages of the templates. Templates and
// destinations are those of the library that the published controller uses.
//
//	ConfigMap, Secret ─► Parse ─► Config ─► Destinations (who), Conditions (when), Engine (what, and how it gets there)
//
// What cannot be read in a ConfigMap is a Problem and is left out; the rest goes on working.
package notify
