// Package plugin is for people who write plugins for Penstock: programs that measure, that
// route traffic, or that carry out a step of a canary. Implement one of three interfaces
// and hand it to Serve:
//
//	func main() { plugin.Serve(plugin.OfStep(change{})) }
//
//	type change struct{}
//
//	func (change) Run(ctx context.Context, r plugin.StepRequest) (plugin.StepReply, error) { … }
//
// The controller starts the program when it is first needed, speaks to it over gRPC
// (wire/plugin.proto), ends it when it ends itself, and starts it again when it has died.
// So a plugin keeps nothing in memory that it could not do without. Every call has a
// deadline in its ctx, after which nobody waits for the answer. Calls for different
// Rollouts may come at the same time; a panic is an error of its call. What the program prints on standard error is in the
// log of the controller; standard output belongs to the protocol.
package plugin
