package rollout

// Reason is why: a closed list, each with one meaning. Published reasons keep their
// published spelling, since events, conditions and notification triggers carry it.
type Reason string

// Published reasons of events (core.md §7.6).
const (
	NewReplicaSetCreated Reason = "NewReplicaSetCreated"
	// ReplicaSetCreateError: the ReplicaSet of the wanted revision could not be created.
	ReplicaSetCreateError Reason = "ReplicaSetCreateError"
	RolloutUpdated        Reason = "RolloutUpdated"
	ScalingReplicaSet     Reason = "ScalingReplicaSet"
	SwitchService         Reason = "SwitchService"
	RolloutNotCompleted   Reason = "RolloutNotCompleted"
	RolloutCompleted      Reason = "RolloutCompleted"
	RolloutStepCompleted  Reason = "RolloutStepCompleted"
	SkipSteps             Reason = "SkipSteps"
	RolloutPaused         Reason = "RolloutPaused"
	RolloutResumed        Reason = "RolloutResumed"
	RolloutAborted        Reason = "RolloutAborted"
	TrafficWeightUpdated  Reason = "TrafficWeightUpdated"
	AnalysisRunPrefix     Reason = "AnalysisRun" // followed by the phase
	ExperimentCreated     Reason = "ExperimentCreated"
	// PauseTimedOut: nobody promoted a pause within its timeout, and the rollout goes on, or goes
	// on waiting.
	PauseTimedOut Reason = "PauseTimedOut"
	// TrafficRoutingError: the split could not be written.
	TrafficRoutingError Reason = "TrafficRoutingError"
	// The named object of the mesh does not exist.
	VirtualServiceNotFound  Reason = "VirtualServiceNotFound"
	DestinationRuleNotFound Reason = "DestinationRuleNotFound"
	// The named load balancer does not exist.
	LoadBalancerNotFound Reason = "LoadBalancerNotFound"
	// A target group of a load balancer has what it should have, has not, or could not be read.
	TargetGroupVerified    Reason = "TargetGroupVerified"
	TargetGroupUnverified  Reason = "TargetGroupUnverified"
	TargetGroupVerifyError Reason = "TargetGroupVerifyError"
	StepPluginTransition   Reason = "StepPluginTransition"
	ReconciliationError    Reason = "ReconciliationError"
	// A Rollout that a controller process sees for the first time, and one that is gone.
	RolloutAddedToInformer Reason = "RolloutAddedToInformer"
	RolloutDeleted         Reason = "RolloutDeleted"
)

// Our own reasons of events.
const (
	// TrafficDrift: somebody else has changed what is ours on a route, and it was set back.
	TrafficDrift Reason = "TrafficDrift"
	// NotificationFailed: a message could not be sent to who subscribes to it; it is tried again.
	NotificationFailed Reason = "NotificationFailed"
)

// Reasons of waiting: what `why` prints, each with what would end the wait.
const (
	// InvalidSpec: the spec or something it names is invalid; mend it and apply again.
	InvalidSpec Reason = "InvalidSpec"
	// Unreadable: an object could not be read; nothing is removed until it can.
	Unreadable Reason = "Unreadable"
	// PodsNotAvailable: a revision has fewer available pods than its share needs.
	PodsNotAvailable Reason = "PodsNotAvailable"
	// StableNotAvailable: stable cannot take more traffic back yet.
	StableNotAvailable Reason = "StableNotAvailable"
	// TrafficNotConfirmed: the data plane is not known to follow the written split.
	TrafficNotConfirmed Reason = "TrafficNotConfirmed"
	// RouterProblem: the route objects cannot carry the split.
	RouterProblem Reason = "RouterProblem"
	// ServiceNotSwitched: a Service waits for available pods before it is pointed at them.
	ServiceNotSwitched Reason = "ServiceNotSwitched"
	// AnalysisRunning: a run has no verdict yet.
	AnalysisRunning Reason = "AnalysisRunning"
	// ExperimentRunning: an experiment has not ended.
	ExperimentRunning Reason = "ExperimentRunning"
	// PluginRunning: a step plugin has not finished.
	PluginRunning Reason = "PluginRunning"
	// Unsafe: a write was held back because it would have sent traffic to pods that
	// cannot take it, or taken pods that still get some.
	Unsafe Reason = "Unsafe"
	// PauseElapsing: a timed pause has not ended.
	PauseElapsing Reason = "PauseElapsing"
	// NeedsApproval: an endless pause waits for a promote.
	NeedsApproval Reason = "NeedsApproval"
	// PausedByUser: spec.paused is true.
	PausedByUser Reason = "PausedByUser"
	// AnalysisInconclusive: a run could not decide; promote, retry or abort.
	AnalysisInconclusive Reason = "AnalysisInconclusive"
	// OldPodsRemain: pods of older revisions are still there.
	OldPodsRemain Reason = "OldPodsRemain"
	// Restarting: pods from before spec.restartAt are still there, or their successors are
	// not available yet.
	Restarting Reason = "Restarting"
	// WorkloadRemains: the referenced Deployment keeps pods until the rollout has enough.
	WorkloadRemains Reason = "WorkloadRemains"
	// HandingBack: the Rollout is being deleted, and waits until the referenced Deployment
	// serves in its place.
	HandingBack Reason = "HandingBack"
	// ScaleDownDelayed: a revision keeps its pods until its scale-down deadline.
	ScaleDownDelayed Reason = "ScaleDownDelayed"
)
