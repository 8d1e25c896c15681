package plugin

import (
	"encoding/gob"
	"encoding/json"
	"sync"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/plugin"
)

// RunArgs is the argument of Run, Terminate's and Abort's are alike.
type RunArgs struct {
	Rollout *v1alpha1.Rollout
	Context *Context
}

// TerminateArgs is the argument of Terminate.
type TerminateArgs RunArgs

// AbortArgs is the argument of Abort.
type AbortArgs RunArgs

// Context is what a call is about beside the Rollout.
type Context struct {
	PluginName     string
	Config, Status json.RawMessage
}

// Response is what Run, Terminate and Abort return.
type Response struct {
	Result Result
	Error  plugin.Error
}

// Result is the outcome of a call.
type Result struct {
	Phase        string
	Message      string
	RequeueAfter time.Duration
	Status       json.RawMessage
}

// register gives the arguments their names on the wire.
var register = sync.OnceFunc(func() {
	gob.RegisterName("step.RunArgs", new(RunArgs))
	gob.RegisterName("step.TerminateArgs", new(TerminateArgs))
	gob.RegisterName("step.AbortArgs", new(AbortArgs))
})
