package rollout

import (
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
)

// Snapshot is every fact that a decision may use. It is a value: Decide never changes
// it, and a bug report is one Snapshot as JSON.
type Snapshot struct {
	Now             time.Time
	Namespace, Name string
	// Generation is metadata.generation; Number is the revision annotation of the
	// Rollout, 0 when it has none yet.
	Generation, Number int64

	// Spec is what is wanted, as stored; defaults are applied by Decide.
	Spec v1alpha1.RolloutSpec
	// Status is the status as last persisted, foreign intent included (request.go).
	Status v1alpha1.RolloutStatus
	// StepsHash is v1alpha1.StepHash of the canary steps; "" for blue-green.
	StepsHash string
	// TemplateHash is the hash that a new revision of the template gets.
	TemplateHash string
	// NameTaken is true when a ReplicaSet of the name a new revision would get exists
	// and is not ours: the collision count must grow.
	NameTaken bool

	// Revisions are all owned ReplicaSets, newest number first. At most one is Current.
	Revisions []Revision
	// Services are the Services that the strategy names.
	Services []Service
	// Routed is true when the canary has trafficRouting; Traffic is then what was seen.
	Routed  bool
	Traffic traffic.State
	// Pinned: the router itself ties roles to revisions (Istio subsets), so hashes
	// change with SetSplit. Otherwise Service selectors do, with SetSelector.
	Pinned bool
	// Verifies: the router can vouch for the data plane; status.canary.weights.verified
	// is then filled.
	Verifies bool
	// SettledAt is when the written split counts as followed; zero if it already is.
	SettledAt time.Time
	// Runs are the AnalysisRuns of this Rollout.
	Runs []Run

	// Invalid is the first validation problem in published words; empty for a valid spec.
	Invalid string
	// Trouble lists what could not be read. While it is not empty nothing is removed
	// and no weight rises.
	Trouble []Note
}

// Revision is one ReplicaSet, in the few facts that decisions depend on.
type Revision struct {
	// Hash is the value of the pod template hash label; Name is the ReplicaSet's.
	Hash, Name string
	// Number is the revision annotation; 0 when missing or unreadable.
	Number int64
	// Current is true for the one revision that matches spec.template.
	Current bool
	// Desired is spec.replicas; Actual, Ready and Available are the status counters,
	// Observed says that the status belongs to the present spec.
	Desired, Actual, Ready, Available int32
	Observed                          bool
	Created                           time.Time
	// RetireAt is the scale-down-deadline, zero when there is none; RetireUnreadable
	// is true when the annotation holds something that is not a time.
	RetireAt         time.Time
	RetireUnreadable bool
	// Metadata is the ephemeral metadata that was injected; MetadataStale says that
	// some pod does not carry it yet.
	Metadata      v1alpha1.PodTemplateMetadata
	MetadataStale bool
	// MinReadySeconds is the ReplicaSet's own value.
	MinReadySeconds int32
	// Failure is the message of the ReplicaSet's ReplicaFailure condition, with its
	// reason and since when; empty for none.
	Failure, FailureReason string
	FailureSince           time.Time
	// Deleting is true once the object has a deletion timestamp.
	Deleting bool
}

// Service is one Service that the strategy names.
type Service struct {
	Name string
	// Exists is false when the API server has no such Service.
	Exists bool
	// Hash is the pod template hash in its selector, "" when there is none.
	Hash string
	// Managed is true when the Service carries this Rollout's managed-by annotation.
	Managed bool
}

// RunKind says what an AnalysisRun is for: the value of its rollout-type label.
type RunKind string

// The kinds of run that a canary starts.
const (
	Background RunKind = "Background"
	StepRun    RunKind = "Step"
)

// Run is one AnalysisRun of the Rollout.
type Run struct {
	Name string
	Kind RunKind
	// Step is the step-index label; -1 when there is none.
	Step int32
	// Hash is the pod template hash label; Number the revision annotation.
	Hash   string
	Number int64
	// Phase and Message are the run's status; Phase "" means not started.
	Phase   v1alpha1.AnalysisPhase
	Message string
	// Terminating is spec.terminate; Deleting is a deletion timestamp.
	Terminating, Deleting bool
	Created               time.Time
}

// Completed reports whether the run's verdict is final.
func (r Run) Completed() bool { return r.Phase.Completed() }
