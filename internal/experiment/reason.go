package experiment

// Reason is why: a closed list. Published reasons keep their published spelling.
type Reason string

// Published reasons of events (core.md §10.4).
const (
	ExperimentPrefix       Reason = "Experiment"  // followed by the phase
	TemplatePrefix         Reason = "Template"    // followed by the status
	AnalysisRunPrefix      Reason = "AnalysisRun" // followed by the phase
	AnalysisRunTerminating Reason = "AnalysisRunTerminating"
	ScalingReplicaSet      Reason = "ScalingReplicaSet"
	ReplicaSetUpdateError  Reason = "ReplicaSetUpdateError"
)

// Reasons of waiting, each with what would end the wait.
const (
	// InvalidSpec: the spec is invalid; mend it and apply again.
	InvalidSpec Reason = "InvalidSpec"
	// PodsNotAvailable: a template has fewer available pods than it asks for.
	PodsNotAvailable Reason = "PodsNotAvailable"
	// StillRouted: the Rollout still lists the pods as a destination of its traffic.
	StillRouted Reason = "StillRouted"
	// ScaleDownDelayed: pods are kept until their scale-down deadline.
	ScaleDownDelayed Reason = "ScaleDownDelayed"
	// AnalysisRunning: a run has no verdict yet.
	AnalysisRunning Reason = "AnalysisRunning"
)
