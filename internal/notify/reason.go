package notify

// reasons are the triggers that have the name of an event: the published ones (surfaces.md §3.6)
// and ours. They fire with it; under any other name a trigger fires when its condition begins to
// hold.
var reasons = triggersOf(
	"RolloutUpdated", "RolloutNotCompleted", "RolloutCompleted", "RolloutAborted", "RolloutPaused", "RolloutResumed",
	"RolloutStepCompleted", "RolloutDeleted", "RolloutAddedToInformer", "NewReplicaSetCreated", "ReplicaSetCreateError",
	"ReplicaSetUpdateError", "ScalingReplicaSet", "SkipSteps", "SwitchService", "TrafficWeightUpdated", "TrafficRoutingError",
	"WeightVerifyError", "TargetGroupVerified", "TargetGroupUnverified", "TargetGroupVerifyError", "LoadBalancerNotFound",
	"StepPluginTransition", "ReconciliationError", "ExperimentCreated",
	"AnalysisRunPending", "AnalysisRunRunning", "AnalysisRunSuccessful", "AnalysisRunFailed", "AnalysisRunError",
	"AnalysisRunInconclusive", "AnalysisRunTerminating",
	"MetricSuccessful", "MetricFailed", "MetricError", "MetricInconclusive",
	"ExperimentPending", "ExperimentRunning", "ExperimentSuccessful", "ExperimentFailed", "ExperimentError", "ExperimentInconclusive",
	"TemplateProgressing", "TemplateRunning", "TemplateSuccessful", "TemplateFailed", "TemplateError",
	"PatchingALBIngress", "CreatingCanaryIngress", "PatchingCanaryIngress", "UpdatedVirtualService", "UpdatedDestinationRule",
	"VirtualServiceNotFound", "DestinationRuleNotFound", "VirtualRouterNotFound", "VirtualNodeNotFound",
	"TrafficSplitCreated", "TrafficSplitNotCreated", "CanaryMappingWeightUpdate", "CanaryMappingCreationError",
	"CanaryMappingUpdateError", "CanaryMappingCleanupError", "AmbassadorMappingNotFound", "AmbassadorMappingConfigError",
	"TraefikServiceUpdateError", "ApisixRouteCreateError", "ApisixRouteUpdateError", "ApisixRouteDeleteError",
	"TrafficDrift", "PauseTimedOut", "NotificationFailed", Degraded, Healthy, Promoted,
)

// What has no event of its own and is worth a trigger.
const (
	// Degraded: the phase has become Degraded.
	Degraded = "RolloutDegraded"
	// Healthy: the phase has become Healthy.
	Healthy = "RolloutHealthy"
	// Promoted: an update has ended well. RolloutCompleted is that, and the first deployment too.
	Promoted = "RolloutPromoted"
)

func triggersOf(names ...string) map[string]bool {
	all := map[string]bool{}
	for _, n := range names {
		all[TriggerName(n)] = true
	}
	return all
}
