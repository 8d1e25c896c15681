package experiment

import (
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// Snapshot is every fact that a decision may use. It is a value: Decide never changes it.
type Snapshot struct {
	Now             time.Time
	Namespace, Name string
	// Spec is what is wanted; Status is the status as last persisted.
	Spec   v1alpha1.ExperimentSpec
	Status v1alpha1.ExperimentStatus
	// Sets are all owned ReplicaSets, oldest first.
	Sets []Set
	// Services are the owned Services, and those of others that have a name we need.
	Services []Service
	// Runs are the owned AnalysisRuns, oldest first.
	Runs []Run
	// Missing says, by analysis, why its template cannot be had. Nil unless it matters:
	// it is looked up until the pods are available.
	Missing map[string]string
	// Refused holds, by the String of an action, what the API server will not do however
	// often it is asked.
	Refused map[string]Refusal
	// Deleting is true once the Experiment has a deletion timestamp.
	Deleting bool
}

// Refusal is the answer of the API server to one action.
type Refusal struct {
	// Taken: the name belongs to somebody else's object.
	Taken bool
	// Text is the answer.
	Text string
}

// Set is one ReplicaSet.
type Set struct {
	// Template is the name of the template that it was made for.
	Template string
	// Name is the ReplicaSet's; Hash its pod template hash label.
	Name, Hash string
	// Current is true when it runs what the spec's template says now.
	Current bool
	// Desired is spec.replicas; the others are the status counters. Observed says that
	// the status belongs to the present spec.
	Desired, Actual, Ready, Available int32
	Observed                          bool
	// RetireAt is the scale-down-deadline, zero when there is none; RetireUnreadable is
	// true when the annotation holds something that is not a time.
	RetireAt         time.Time
	RetireUnreadable bool
	// Routed is true while the owning Rollout lists the hash among the destinations of
	// its traffic.
	Routed bool
	// Deleting is true once the object has a deletion timestamp.
	Deleting bool
}

// Service is one Service.
type Service struct {
	Name string
	// Template is the template that it was made for; "" when it is not ours.
	Template string
	// Hash is the pod template hash in its selector.
	Hash string
	// Routed is true while the owning Rollout lists the Service.
	Routed bool
	// Deleting is true once the object has a deletion timestamp.
	Deleting bool
}

// Run is one owned AnalysisRun.
type Run struct {
	Name string
	// Phase and Message are the run's status; Phase "" means not started.
	Phase   v1alpha1.AnalysisPhase
	Message string
	// Terminating is spec.terminate; Deleting is a deletion timestamp.
	Terminating, Deleting bool
}
