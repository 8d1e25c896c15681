package rollout

import (
	"encoding/json"
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
	// ALBs are the load balancers that the router has found; nil leaves the status as it is.
	ALBs []v1alpha1.ALBStatus
	// Targets are read only while they matter (TargetsDue); nil otherwise, and where nothing
	// has to be waited for.
	Targets *Targets
	// SettledAt is when the written split counts as followed; zero if it already is.
	SettledAt time.Time
	// Runs are the AnalysisRuns of this Rollout, Experiments its Experiments.
	Runs        []Run
	Experiments []Experiment
	// Pods are the pods of all revisions. They are read only while a restart is due
	// (RestartDue); nil otherwise.
	Pods []Pod
	// Answers are what step plugins have answered and Status does not hold yet.
	Answers []Answer
	// Workload is what spec.workloadRef names, nil without one. Spec.Template, and the
	// selector where the Rollout has none, are then the workload's.
	Workload *Workload
	// Deleting is true once the Rollout has a deletion timestamp, DeletedAt; Finalizer says
	// that ours is on it.
	Deleting, Finalizer bool
	DeletedAt           time.Time

	// Invalid is the first validation problem in published words; empty for a valid spec.
	Invalid string
	// Uncreated is why the ReplicaSet of the wanted revision could not be created when that
	// was last tried, such as a quota; empty for no reason known.
	Uncreated string
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
	// Created is when it was made, to the second; Born is the first number it ever had,
	// which orders those of one second. 0 when unknown.
	Created time.Time
	Born    int64
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
	// Against is the hash that the injected anti-affinity keeps its pods away from, ""
	// for none; AffinityStale says that the injected term is not the one that the spec
	// asks for, with that hash.
	Against       string
	AffinityStale bool
	// AnnotationsStale is true when an annotation of the Rollout that is to be copied
	// differs.
	AnnotationsStale bool
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

// Targets is whether the load balancers serve every endpoint of the Service that has just
// been pointed at the wanted revision.
type Targets struct {
	Served bool
	// Why says what is missing, in a sentence.
	Why string
}

// RunKind says what an AnalysisRun is for: the value of its rollout-type label.
type RunKind string

// The kinds of run: the first two are a canary's, the others of blue-green.
const (
	Background    RunKind = "Background"
	StepRun       RunKind = "Step"
	PrePromotion  RunKind = "PrePromotion"
	PostPromotion RunKind = "PostPromotion"
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

// Experiment is one Experiment of the Rollout.
type Experiment struct {
	Name string
	// Hash is the pod template hash label; Number the revision annotation.
	Hash   string
	Number int64
	// Phase and Message are its status; Phase "" means not started.
	Phase   v1alpha1.AnalysisPhase
	Message string
	// Terminating is spec.terminate; Deleting is a deletion timestamp.
	Terminating, Deleting bool
	Created               time.Time
	// Templates are what it runs, in the order of its status.
	Templates []ExperimentTemplate
}

// ExperimentTemplate is one ReplicaSet of an Experiment. Service and Hash are "" until
// the Experiment controller has made the Service.
type ExperimentTemplate struct {
	Name, Service, Hash string
	Available           int32
	// Since is when its state was last another; zero for long ago.
	Since time.Time
}

// Pod is one pod of a revision.
type Pod struct {
	Name, Hash string
	Created    time.Time
	// Available: ready for minReadySeconds; Deleting: on its way out; Refused: a disruption
	// budget has just kept it from going.
	Available, Deleting, Refused bool
}

// Answer is what one call of a step plugin brought.
type Answer struct {
	Index     int32
	Name      string
	Operation v1alpha1.StepPluginOperation
	// At is when the call ended.
	At time.Time
	// Err is why the call failed; the other fields are then empty. Unknown means that no
	// plugin of the name is configured, Disabled that it is switched off.
	Err               string
	Unknown, Disabled bool
	Phase             v1alpha1.StepPluginPhase
	Message           string
	// RequeueAfter is when the plugin wants to be called again; 0 leaves it to us.
	RequeueAfter time.Duration
	// State is the plugin's own memory, kept in the status for the next call.
	State json.RawMessage
}

// Workload is the object that spec.workloadRef names.
type Workload struct {
	// Generation is its metadata.generation.
	Generation int64
	// Scalable is true for a Deployment: Desired and Available are then its pod counts.
	Scalable           bool
	Desired, Available int32
}
