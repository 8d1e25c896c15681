// Package lint says what is wrong, or unwise, in manifests before a cluster sees them. It
// is pure: it is given texts and gives findings.
//
// The rules are a table (Rules). Each has an ID that never changes, so that manifests may
// silence it, with a reason, by the annotation IgnoreAnnotation.
package lint
