package v1alpha1

// Labels and annotations (core.md §12).
const (
	// PodTemplateHashLabel ties ReplicaSets, pods, runs and Service selectors to a revision.
	PodTemplateHashLabel = "rollouts-pod-template-hash"
	// RolloutTypeLabel says what a run is for: Step, Background, PrePromotion, PostPromotion.
	RolloutTypeLabel = "rollout-type"
	// StepIndexLabel is the decimal step index of a run.
	StepIndexLabel = "step-index"
	// InstanceIDLabel divides objects among controllers.
	InstanceIDLabel = "argo-rollouts.argoproj.io/controller-instance-id"
	// RevisionAnnotation is the decimal revision number.
	RevisionAnnotation = "rollout.argoproj.io/revision"
	// RevisionHistoryAnnotation lists the earlier numbers of a ReplicaSet.
	RevisionHistoryAnnotation = "rollout.argoproj.io/revision-history"
	// DesiredReplicasAnnotation is spec.replicas when the ReplicaSet was last scaled.
	DesiredReplicasAnnotation = "rollout.argoproj.io/desired-replicas"
	// WorkloadGenerationAnnotation is the generation of the referenced workload.
	WorkloadGenerationAnnotation = "rollout.argoproj.io/workload-generation"
	// EphemeralMetadataAnnotation is the JSON of what was injected into a ReplicaSet.
	EphemeralMetadataAnnotation = "rollout.argoproj.io/ephemeral-metadata"
	// ScaleDownDeadlineAnnotation is the RFC 3339 UTC time until which pods are kept.
	ScaleDownDeadlineAnnotation = "scale-down-deadline"
	// ManagedByAnnotation is the name of the Rollout that owns a selector or subset.
	ManagedByAnnotation = "argo-rollouts.argoproj.io/managed-by-rollouts"
	// ExperimentNameAnnotation and ExperimentTemplateNameAnnotation mark an experiment's objects.
	ExperimentNameAnnotation         = "experiment.argoproj.io/name"
	ExperimentTemplateNameAnnotation = "experiment.argoproj.io/template-name"
	// LastAppliedAnnotation is kubectl's own and never copied.
	LastAppliedAnnotation = "kubectl.kubernetes.io/last-applied-configuration"
	// NotifiedAnnotation is the notification engine's own and never copied.
	NotifiedAnnotation = "notified.notifications.argoproj.io"
	// RestartedAfterAnnotation is a published name that nothing writes.
	RestartedAfterAnnotation = "argo-rollouts.argoproj.io/restarted-after"
	// SubscribeAnnotationPrefix is followed by "<trigger>.<service>".
	SubscribeAnnotationPrefix = "notifications.argoproj.io/subscribe."
	// ManagedALBAnnotationsAnnotation lists, as JSON, what was put on an ALB Ingress.
	ManagedALBAnnotationsAnnotation = "rollouts.argoproj.io/managed-alb-annotations"
	// ManagedALBActionsAnnotation is the older form of ManagedALBAnnotationsAnnotation.
	ManagedALBActionsAnnotation = "rollouts.argoproj.io/managed-alb-actions"
	// IstioPrimaryClusterLabel, "true", marks the Secret with the kubeconfig of Istio's primary cluster.
	IstioPrimaryClusterLabel = "istio.argoproj.io/primary-cluster"
	// JobRunUIDLabel is the uid of the AnalysisRun, on a Job and its pods.
	JobRunUIDLabel = "analysisrun.argoproj.io/uid"
	// JobRunNameAnnotation, JobRunNamespaceAnnotation and JobMetricNameAnnotation say whose measurement a Job is.
	JobRunNameAnnotation      = "analysisrun.argoproj.io/name"
	JobRunNamespaceAnnotation = "analysisrun.argoproj.io/namespace"
	JobMetricNameAnnotation   = "analysisrun.argoproj.io/metric-name"
)

// The values of RolloutTypeLabel.
const (
	RolloutTypeStep          = "Step"
	RolloutTypeBackground    = "Background"
	RolloutTypePrePromotion  = "PrePromotion"
	RolloutTypePostPromotion = "PostPromotion"
)
