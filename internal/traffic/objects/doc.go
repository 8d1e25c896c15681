// Package objects is what routers share that keep their weights in fields of existing
// objects: reading them, checking all before the first is written, writing what differs,
// and telling what was read and written. A router says with a Plan which objects there are
// for a target, how a split is read from one, and how it is written into one.
package objects
