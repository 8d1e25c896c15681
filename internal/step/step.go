// Package step is the vocabulary for steps of a canary that somebody else's program carries
// out. It is pure (layer 0); the adapter that calls programs lives below.
package step

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// What a Plugin answers, wrapped, of a name.
var (
	// ErrUnknown: nobody has configured a plugin of this name.
	ErrUnknown = errors.New("not configured")
	// ErrDisabled: the plugin is to be passed over.
	ErrDisabled = errors.New("disabled")
)

// Plugin carries out steps. Call may block and must honour ctx; an error means that the
// plugin could not be asked, never that it said no.
type Plugin interface {
	Call(ctx context.Context, c Call) (Reply, error)
}

// Call is what a plugin is told.
type Call struct {
	// Rollout is a copy.
	Rollout   *v1alpha1.Rollout
	Index     int32
	Name      string
	Operation v1alpha1.StepPluginOperation
	// Config is the step's plugin.config; State is what the plugin returned last time.
	Config, State json.RawMessage
}

// Reply is what a plugin answers.
type Reply struct {
	Phase   v1alpha1.StepPluginPhase
	Message string
	// RequeueAfter is when a running one wants to be called again; 0 leaves it to us.
	RequeueAfter time.Duration
	// State is its memory, a JSON object; empty for none.
	State json.RawMessage
}

// Table has plugins of this process by name.
type Table map[string]Plugin

// Call implements Plugin.
func (t Table) Call(ctx context.Context, c Call) (Reply, error) {
	p, known := t[c.Name]
	if !known {
		return Reply{}, ErrUnknown
	}
	return p.Call(ctx, c)
}
