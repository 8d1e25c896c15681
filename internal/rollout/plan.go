package rollout

import (
	"fmt"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
)

// Plan is what Decide answers: what to persist, what to do, when to look again.
type Plan struct {
	// Status is the complete next status, not a difference.
	Status v1alpha1.RolloutStatus
	// Actions are safe in any order, with any subset lost.
	Actions []Action
	// Wake is when to look again without an event; zero means only on events.
	Wake time.Time
	// Notes explain: events that the status change causes, and everything that is
	// being waited for.
	Notes []Note
	// Hurried says that the actions take the traffic from a revision that was judged against.
	// Nothing else is as urgent: the status may come with the next pass.
	Hurried bool
}

// NoteKind says where a Note goes.
type NoteKind string

// The kinds of Note.
const (
	// Event becomes a Normal Kubernetes event once the status is written.
	Event NoteKind = "Event"
	// Warning becomes a Warning event once the status is written.
	Warning NoteKind = "Warning"
	// Waiting says what the rollout waits for: shown by the CLI, never an event.
	Waiting NoteKind = "Waiting"
)

// Note is one reason with its sentence. The reason is from the closed list in reason.go.
type Note struct {
	Kind    NoteKind
	Reason  Reason
	Message string
}

// Action is a write that is safe alone given the Snapshot that it was planned from.
// String is its line in stories and logs.
type Action interface {
	fmt.Stringer
	action()
}

// EnsureRevision creates the ReplicaSet of the present template with zero replicas.
type EnsureRevision struct {
	Hash     string
	Number   int64
	Metadata v1alpha1.PodTemplateMetadata
}

// Renumber makes an existing revision the newest, or corrects its minReadySeconds.
type Renumber struct {
	Hash            string
	Number          int64
	MinReadySeconds int32
}

// SetNumber writes the Rollout's own revision annotation.
type SetNumber struct{ Number int64 }

// DefaultReplicas writes spec.replicas: 1 where the user left it out, because an HPA
// needs a value to scale.
type DefaultReplicas struct{}

// Scale sets a revision's replicas.
type Scale struct {
	Hash     string
	Number   int64
	From, To int32
}

// Retire sets the moment at which a revision may lose its pods; the zero time takes
// the mark away.
type Retire struct {
	Hash string
	At   time.Time
}

// Delete removes an old ReplicaSet that has no pods.
type Delete struct{ Hash string }

// SetMetadata injects the ephemeral metadata into a revision and its live pods.
type SetMetadata struct {
	Hash     string
	Metadata v1alpha1.PodTemplateMetadata
}

// SetSelector points a Service at a revision; an empty Hash takes the hash, and our mark,
// off the Service.
type SetSelector struct{ Service, From, Hash string }

// SetSplit asks the router for a division of traffic.
type SetSplit struct{ Split traffic.Split }

// StartRun creates an AnalysisRun.
type StartRun struct {
	Name   string
	Kind   RunKind
	Step   int32
	Hash   string
	Number int64
	// Stable is the stable revision's hash, for podTemplateHashValue args.
	Stable string
}

// StopRun asks an AnalysisRun to terminate.
type StopRun struct{ Name string }

// DeleteRun removes an AnalysisRun beyond the history limits.
type DeleteRun struct{ Name string }

// Restart evicts one pod; a disruption budget may refuse, which is no error.
type Restart struct{ Pod, Hash string }

// SetAffinity makes the injected anti-affinity of a revision keep away from another
// revision; "" takes it out.
type SetAffinity struct{ Hash, Against string }

// StartExperiment creates the Experiment of a step.
type StartExperiment struct {
	Name   string
	Step   int32
	Hash   string
	Number int64
	// Stable is the stable revision's hash.
	Stable string
}

// StopExperiment asks an Experiment to terminate.
type StopExperiment struct{ Name string }

// DeleteExperiment removes an Experiment beyond the history limits.
type DeleteExperiment struct{ Name string }

// CallPlugin calls a step plugin; the answer is a fact of a later Snapshot.
type CallPlugin struct {
	Index     int32
	Name      string
	Operation v1alpha1.StepPluginOperation
}

// ScaleWorkload sets the replicas of the referenced Deployment.
type ScaleWorkload struct{ From, To int32 }

// SetFinalizer puts our finalizer on the Rollout or takes it off.
type SetFinalizer struct{ On bool }

func (Restart) action()          {}
func (SetAffinity) action()      {}
func (StartExperiment) action()  {}
func (StopExperiment) action()   {}
func (DeleteExperiment) action() {}
func (CallPlugin) action()       {}
func (ScaleWorkload) action()    {}
func (SetFinalizer) action()     {}

func (EnsureRevision) action()  {}
func (Renumber) action()        {}
func (SetNumber) action()       {}
func (DefaultReplicas) action() {}
func (Scale) action()           {}
func (Retire) action()          {}
func (Delete) action()          {}
func (SetMetadata) action()     {}
func (SetSelector) action()     {}
func (SetSplit) action()        {}
func (StartRun) action()        {}
func (StopRun) action()         {}
func (DeleteRun) action()       {}

func (a EnsureRevision) String() string {
	return fmt.Sprintf("create revision %d (%s)", a.Number, a.Hash)
}
func (a Renumber) String() string {
	return fmt.Sprintf("renumber %s to revision %d", a.Hash, a.Number)
}
func (a SetNumber) String() string     { return fmt.Sprintf("set revision %d", a.Number) }
func (DefaultReplicas) String() string { return "set spec.replicas to 1" }
func (a Scale) String() string         { return fmt.Sprintf("scale %s from %d to %d", a.Hash, a.From, a.To) }
func (a Retire) String() string {
	if a.At.IsZero() {
		return fmt.Sprintf("keep %s", a.Hash)
	}
	return fmt.Sprintf("retire %s at %s", a.Hash, a.At.UTC().Format(time.TimeOnly))
}
func (a Delete) String() string      { return fmt.Sprintf("delete %s", a.Hash) }
func (a SetMetadata) String() string { return fmt.Sprintf("set metadata of %s", a.Hash) }
func (a Restart) String() string     { return fmt.Sprintf("restart pod %s", a.Pod) }
func (a SetAffinity) String() string {
	if a.Against == "" {
		return fmt.Sprintf("drop the anti-affinity of %s", a.Hash)
	}
	return fmt.Sprintf("keep new pods of %s away from %s", a.Hash, a.Against)
}
func (a StartExperiment) String() string  { return fmt.Sprintf("start experiment %s", a.Name) }
func (a StopExperiment) String() string   { return fmt.Sprintf("stop experiment %s", a.Name) }
func (a DeleteExperiment) String() string { return fmt.Sprintf("delete experiment %s", a.Name) }
func (a CallPlugin) String() string {
	return fmt.Sprintf("call plugin %s of step %d: %s", a.Name, a.Index+1, a.Operation)
}
func (a ScaleWorkload) String() string {
	return fmt.Sprintf("scale the referenced workload from %d to %d", a.From, a.To)
}
func (a SetFinalizer) String() string {
	if a.On {
		return "add the finalizer"
	}
	return "remove the finalizer"
}
func (a SetSelector) String() string {
	if a.Hash == "" {
		return fmt.Sprintf("release service %s", a.Service)
	}
	return fmt.Sprintf("point service %s at %s", a.Service, a.Hash)
}
func (a SetSplit) String() string  { return fmt.Sprintf("set split %s", a.Split) }
func (a StartRun) String() string  { return fmt.Sprintf("start analysis %s", a.Name) }
func (a StopRun) String() string   { return fmt.Sprintf("stop analysis %s", a.Name) }
func (a DeleteRun) String() string { return fmt.Sprintf("delete analysis %s", a.Name) }

// Did returns the event that a carried-out action causes, and whether it causes one.
// The texts are the published ones (core.md §7.6).
func Did(rollout string, a Action) (n Note, ok bool) {
	switch a := a.(type) {
	case EnsureRevision:
		return Note{Event, NewReplicaSetCreated,
			fmt.Sprintf("Created ReplicaSet %s-%s (revision %d)", rollout, a.Hash, a.Number)}, true
	case SetNumber:
		return Note{Event, RolloutUpdated, fmt.Sprintf("Rollout updated to revision %d", a.Number)}, true
	case Scale:
		way := "up"
		if a.To < a.From {
			way = "down"
		}
		return Note{Event, ScalingReplicaSet, fmt.Sprintf("Scaled %s ReplicaSet %s-%s (revision %d) from %d to %d",
			way, rollout, a.Hash, a.Number, a.From, a.To)}, true
	case StartExperiment:
		return Note{Event, ExperimentCreated, fmt.Sprintf("Created Experiment '%s'", a.Name)}, true
	case SetSelector:
		if a.From == a.Hash { // it only gets our mark
			return Note{}, false
		}
		return Note{Event, SwitchService, fmt.Sprintf("Switched selector for service '%s' from '%s' to '%s'",
			a.Service, a.From, a.Hash)}, true
	}
	return Note{}, false
}
