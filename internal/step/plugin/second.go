package plugin

import (
	"context"
	"fmt"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/plugin"
	"github.com/penstock-io/penstock/internal/step"
	"github.com/penstock-io/penstock/plugin/v2/wire"
)

// maxState bounds what a plugin may keep in the status of a Rollout, in bytes.
const maxState = 64 << 10

// second makes a call of the second protocol.
func second(ctx context.Context, to wire.StepClient, c step.Call) (step.Reply, error) {
	rollout, err := plugin.Rollout(c.Rollout)
	if err != nil {
		return step.Reply{}, err
	}
	q := &wire.StepRequest{Plugin: c.Name, Config: c.Config, Rollout: rollout, Index: c.Index, State: c.State}
	var r *wire.StepReply
	switch c.Operation {
	case v1alpha1.StepPluginOperationTerminate:
		r, err = to.Terminate(ctx, q)
	case v1alpha1.StepPluginOperationAbort:
		r, err = to.Abort(ctx, q)
	default:
		r, err = to.Run(ctx, q)
	}
	if err != nil {
		return step.Reply{}, err
	}
	return read(c.Name, r)
}

// read takes what a plugin has answered.
func read(name string, r *wire.StepReply) (step.Reply, error) {
	phase := v1alpha1.StepPluginPhase(r.GetPhase())
	switch phase {
	case v1alpha1.StepPluginPhaseRunning, v1alpha1.StepPluginPhaseSuccessful, v1alpha1.StepPluginPhaseFailed, v1alpha1.StepPluginPhaseError:
	default:
		return step.Reply{}, fmt.Errorf("plugin %s: phase %q is none of Running, Successful, Failed and Error", name, phase)
	}
	if len(r.GetState()) > maxState {
		return step.Reply{}, fmt.Errorf("plugin %s: its state has %d bytes: at most %d go into a status", name, len(r.GetState()), maxState)
	}
	return step.Reply{Phase: phase, Message: plugin.Line(r.GetMessage()), RequeueAfter: plugin.Seconds(r.GetAgainSeconds()), State: r.GetState()}, nil
}
