// Package providertest is the contract that every metric.Provider passes:
//
//   - values come out as the condition language wants them;
//   - an answer that holds nothing is NoData with a reason, never zero and no error;
//   - a source that is slow, unreachable, broken or talks nonsense is an error with the
//     cause, and within the time limit;
//   - no secret appears in an error, a Display, a reason or metadata, even when the
//     source echoes it;
//   - a cancelled context ends the call at once; calls do not disturb each other.
//
// A check returns an error instead of failing a test, so that the package can also show
// that each check catches a provider with exactly that fault.
package providertest
