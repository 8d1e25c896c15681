package plugin

import (
	"context"
	"encoding/json"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// Metric takes measurements and judges them by itself.
type Metric interface {
	// Measure begins a measurement, or says what became of the one that is in flight. Its
	// phase is Running (with a ResumeAt), Successful, Failed, Inconclusive or Error. An
	// error means "could not measure", never "bad".
	Measure(ctx context.Context, r MetricRequest) (v1alpha1.Measurement, error)
}

// Stopper is a Metric whose measurements go on outside, such as a test that runs. Stop
// ends the one that is in flight.
type Stopper interface {
	Stop(ctx context.Context, r MetricRequest) error
}

// Describer is a Metric that shows people what it is going to ask.
type Describer interface {
	Describe(ctx context.Context, r MetricRequest) (map[string]string, error)
}

// Collector is a Metric whose measurements leave something behind. Collect clears it away
// for all but the newest so many.
type Collector interface {
	Collect(ctx context.Context, r MetricRequest, keep int) error
}

// MetricRequest is what a Metric is told.
type MetricRequest struct {
	// Plugin is the name under which the ConfigMap lists the plugin.
	Plugin string
	// Config is the metric's entry under provider.plugin.
	Config json.RawMessage
	// AnalysisRun and Metric are as the API server has them, with arguments filled in.
	AnalysisRun *v1alpha1.AnalysisRun
	Metric      *v1alpha1.Metric
	// InFlight is the measurement that goes on; nil for a new one.
	InFlight *v1alpha1.Measurement
}

// Traffic divides requests among revisions.
type Traffic interface {
	// Observe reads the routes and changes nothing. An error means that they could not be
	// read; routes that are there and cannot carry a split are a Problem.
	Observe(ctx context.Context, r TrafficRequest) (Observation, error)
	// Apply makes it so, from whatever is. It is idempotent and changes only what is the
	// plugin's own. The zero Split means: take away what is ours. A status of code Aborted
	// means that somebody else has written in between: it is tried again at once.
	Apply(ctx context.Context, r TrafficRequest, s Split) error
}

// TrafficRequest is what a Traffic is told.
type TrafficRequest struct {
	Plugin string
	// Config is the Rollout's entry under trafficRouting.plugins.
	Config  json.RawMessage
	Rollout *v1alpha1.Rollout
	// StableService and CanaryService are the Services of the two roles now, which change
	// places with ping-pong. Without both of them destinations are told by their Hash, and
	// Observe has to tell the hashes back.
	StableService, CanaryService string
}

// Split is the whole division of the traffic of one Rollout.
type Split struct {
	// Total is what the weights add up to: 100, or the user's maxTrafficWeight.
	Total int32
	// Destinations are one Stable and one Canary, and any number of Extra ones, ordered by
	// Service.
	Destinations []Destination
	// Headers send matching requests to the canary whatever its weight, Mirrors copy
	// requests to it. They are in the order of trafficRouting.managedRoutes.
	Headers []v1alpha1.SetHeaderRoute
	Mirrors []v1alpha1.SetMirrorRoute
}

// Destination is one receiver of traffic.
type Destination struct {
	Role Role
	// Service is empty where the Rollout names none.
	Service string
	// Hash is the pod template hash of the revision, the value of the label
	// rollouts-pod-template-hash on its pods.
	Hash string
	// Weight is the share in parts of the Total.
	Weight int32
}

// Role says what a destination is for.
type Role string

// The roles that a destination can have; Extra is an experiment's.
const (
	Stable Role = "Stable"
	Canary Role = "Canary"
	Extra  Role = "Extra"
)

// IsZero reports whether the split asks to take away what is ours.
func (s Split) IsZero() bool {
	return s.Total == 0 && len(s.Destinations) == 0 && len(s.Headers)+len(s.Mirrors) == 0
}

// Weight is the share of a role, 0 if it has no destination.
func (s Split) Weight(r Role) (w int32) {
	for _, d := range s.Destinations {
		if d.Role == r {
			w += d.Weight
		}
	}
	return w
}

// Observation is one look at the routes.
type Observation struct {
	// Written is what they ask for now.
	Written Split
	// Confirmed: the data plane is known to follow. Verifies: that can be known at all; if
	// not, Settle after a change counts instead, 2 s by default.
	Confirmed, Verifies bool
	Settle              time.Duration
	// Again is when to look again although nothing has happened; 30 s by default.
	Again time.Duration
	// Problem is why the routes cannot carry a split, one sentence with the object and the
	// repair.
	Problem string
}

// Step carries out a step of a canary.
type Step interface {
	// Run is called until it answers Successful or Failed. An error means that it could not
	// be said, and the step is tried again after 30 s.
	Run(ctx context.Context, r StepRequest) (StepReply, error)
	// Terminate: the rest of the steps is left out. Called once.
	Terminate(ctx context.Context, r StepRequest) (StepReply, error)
	// Abort: the update is taken back. Called once for each step that ran.
	Abort(ctx context.Context, r StepRequest) (StepReply, error)
}

// StepRequest is what a Step is told.
type StepRequest struct {
	Plugin string
	// Config is the step's plugin.config.
	Config  json.RawMessage
	Rollout *v1alpha1.Rollout
	// Index is the step's place, from 0.
	Index int
	// State is what was answered last, a JSON object; empty at first.
	State json.RawMessage
}

// StepReply is the answer of a Step.
type StepReply struct {
	Phase   v1alpha1.StepPluginPhase
	Message string
	// Again is when a running one wants to be called again, if that is more than 10 s;
	// otherwise it is called after 30 s.
	Again time.Duration
	// State is the plugin's memory, a JSON object; it is kept in the Rollout's status.
	State json.RawMessage
}
