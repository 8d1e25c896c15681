// Package metric is the vocabulary of measuring: a Request goes to a Provider and a
// Result comes back, which is values, or "no data", or "ask me again later".
//
// A provider only fetches. It never judges: conditions are evaluated by
// internal/analysis, in one place for all providers. An error means "could not
// measure", never "bad"; an empty answer is NoData, never zero.
//
// The package is pure (layer 0). Providers live in the folders below, and each passes
// providertest.
package metric
