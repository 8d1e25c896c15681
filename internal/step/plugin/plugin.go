package plugin

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/plugin"
	"github.com/penstock-io/penstock/internal/step"
	"github.com/penstock-io/penstock/plugin/v2/wire"
)

// Caller calls plugins by name; *plugin.Registry is one.
type Caller interface {
	// Speaks tells whether Call or Conn is to be used.
	Speaks(ctx context.Context, name string) (version int, err error)
	Call(ctx context.Context, name, method string, args, reply any) error
	Conn(name, path string) grpc.ClientConnInterface
}

// New makes the plugins that a ConfigMap names. How long a call may take is the context's.
func New(c Caller) step.Plugin {
	register()
	return caller{c}
}

type caller struct{ plugins Caller }

// Call implements step.Plugin.
func (p caller) Call(ctx context.Context, c step.Call) (step.Reply, error) {
	about := RunArgs{Rollout: c.Rollout, Context: &Context{PluginName: c.Name, Config: c.Config, Status: c.State}}
	var args any
	switch c.Operation {
	case v1alpha1.StepPluginOperationRun:
		args = about
	case v1alpha1.StepPluginOperationTerminate:
		args = TerminateArgs(about)
	case v1alpha1.StepPluginOperationAbort:
		args = AbortArgs(about)
	default:
		return step.Reply{}, fmt.Errorf("there is no operation %q of a step plugin", c.Operation)
	}
	var r Response
	version, err := p.plugins.Speaks(ctx, c.Name)
	switch {
	case err == nil && version == plugin.Second:
		return second(ctx, wire.NewStepClient(p.plugins.Conn(c.Name, fmt.Sprintf("spec.strategy.canary.steps[%d].plugin.config", c.Index))), c)
	case err == nil:
		err = p.plugins.Call(ctx, c.Name, string(c.Operation), &args, &r)
	}
	switch {
	case errors.Is(err, plugin.ErrUnknown):
		return step.Reply{}, fmt.Errorf("%w: %w", step.ErrUnknown, err)
	case errors.Is(err, plugin.ErrDisabled):
		return step.Reply{}, fmt.Errorf("%w: %w", step.ErrDisabled, err)
	case err != nil:
		return step.Reply{}, fmt.Errorf("%s rpc call error: %w", c.Operation, err)
	case r.Error.ErrorString != "":
		return step.Reply{}, errors.New(r.Error.ErrorString)
	}
	return step.Reply{Phase: v1alpha1.StepPluginPhase(r.Result.Phase), Message: r.Result.Message, RequeueAfter: r.Result.RequeueAfter, State: r.Result.Status}, nil
}
