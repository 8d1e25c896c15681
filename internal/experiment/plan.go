package experiment

import (
	"fmt"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// Plan is what Decide answers.
type Plan struct {
	// Status is the complete next status, not a difference.
	Status v1alpha1.ExperimentStatus
	// Actions are safe in any order, with any subset lost.
	Actions []Action
	// Wake is when to look again without an event; zero means only on events.
	Wake time.Time
	// Notes explain: events that the status change causes, and what is waited for.
	Notes []Note
}

// NoteKind says where a Note goes.
type NoteKind string

// The kinds of Note.
const (
	// Event becomes a Normal Kubernetes event once the status is written.
	Event NoteKind = "Event"
	// Warning becomes a Warning event once the status is written.
	Warning NoteKind = "Warning"
	// Waiting says what is waited for; it is never an event.
	Waiting NoteKind = "Waiting"
)

// Note is one reason with its sentence. The reason is from the closed list in reason.go.
type Note struct {
	Kind    NoteKind
	Reason  Reason
	Message string
	// Owner: the Rollout that owns the Experiment is told too.
	Owner bool
}

// Action is a write that is safe alone given the Snapshot that it was planned from.
type Action interface {
	fmt.Stringer
	action()
}

// EnsureSet creates the ReplicaSet of a template with zero replicas.
type EnsureSet struct{ Template, Name, Hash string }

// Scale sets a ReplicaSet's replicas.
type Scale struct {
	Set      string
	From, To int32
}

// Retire sets the moment at which a ReplicaSet may lose its pods; the zero time takes
// the mark away.
type Retire struct {
	Set string
	At  time.Time
}

// EnsureService creates the Service before a template's ReplicaSet.
type EnsureService struct{ Template, Name, Set string }

// PointService lets a template's Service select another of its ReplicaSets.
type PointService struct{ Template, Name, Set string }

// DeleteService removes a Service that has no pods any more.
type DeleteService struct{ Name string }

// StartRun creates the AnalysisRun of an analysis. Args are those of the spec, resolved.
type StartRun struct {
	Analysis, Name string
	Args           []v1alpha1.Argument
}

// StopRun asks an AnalysisRun to terminate.
type StopRun struct{ Analysis, Name string }

func (EnsureSet) action()     {}
func (Scale) action()         {}
func (Retire) action()        {}
func (EnsureService) action() {}
func (PointService) action()  {}
func (DeleteService) action() {}
func (StartRun) action()      {}
func (StopRun) action()       {}

func (a EnsureSet) String() string { return fmt.Sprintf("create set %s (%s)", a.Name, a.Hash) }
func (a Scale) String() string     { return fmt.Sprintf("scale %s from %d to %d", a.Set, a.From, a.To) }
func (a Retire) String() string {
	if a.At.IsZero() {
		return fmt.Sprintf("keep %s", a.Set)
	}
	return fmt.Sprintf("retire %s at %s", a.Set, a.At.UTC().Format(time.TimeOnly))
}
func (a EnsureService) String() string { return fmt.Sprintf("create service %s for %s", a.Name, a.Set) }
func (a PointService) String() string  { return fmt.Sprintf("point service %s at %s", a.Name, a.Set) }
func (a DeleteService) String() string { return fmt.Sprintf("delete service %s", a.Name) }
func (a StartRun) String() string      { return fmt.Sprintf("start analysis %s", a.Name) }
func (a StopRun) String() string       { return fmt.Sprintf("stop analysis %s", a.Name) }

// Removes reports whether a plan takes something away, or sets the time for it: the
// facts about the owning Rollout must then be fresh.
func (p Plan) Removes() bool {
	for _, a := range p.Actions {
		switch a := a.(type) {
		case Scale:
			if a.To < a.From {
				return true
			}
		case Retire:
			if !a.At.IsZero() {
				return true
			}
		case DeleteService, PointService:
			return true
		}
	}
	return false
}

// Did returns the event that a carried-out action causes, and whether it causes one
// (core.md §10.4).
func Did(a Action) (n Note, ok bool) {
	switch a := a.(type) {
	case Scale:
		way := "up"
		if a.To < a.From {
			way = "down"
		}
		return Note{Kind: Event, Reason: ScalingReplicaSet,
			Message: fmt.Sprintf("Scaled %s ReplicaSet %s from %d to %d", way, a.Set, a.From, a.To)}, true
	case StopRun:
		return Note{Kind: Event, Reason: AnalysisRunTerminating,
			Message: fmt.Sprintf("Terminating %s (%s)", a.Analysis, a.Name)}, true
	}
	return Note{}, false
}
