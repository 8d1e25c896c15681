package v1alpha1

import (
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// CanaryStrategy gives the new revision a growing share of the traffic or of the pods.
type CanaryStrategy struct {
	// CanaryService selects the new revision's pods.
	// +optional
	CanaryService string `json:"canaryService,omitempty"`
	// StableService selects the stable revision's pods.
	// +optional
	StableService string `json:"stableService,omitempty"`
	// Steps are gone through in order; none means straight to the new revision.
	// +optional
	Steps []CanaryStep `json:"steps,omitempty"`
	// TrafficRouting divides traffic by weight instead of by pods.
	// +optional
	TrafficRouting *RolloutTrafficRouting `json:"trafficRouting,omitempty"`
	// MaxUnavailable pods may be missing, rounded down; nil means 25 %. Without a router only.
	// +optional
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`
	// MaxSurge pods may be too many, rounded up; nil means 25 %. Without a router only.
	// +optional
	MaxSurge *intstr.IntOrString `json:"maxSurge,omitempty"`
	// Analysis runs in the background during the update.
	// +optional
	Analysis *RolloutAnalysisBackground `json:"analysis,omitempty"`
	// +optional
	AntiAffinity *AntiAffinity `json:"antiAffinity,omitempty"`
	// +optional
	CanaryMetadata *PodTemplateMetadata `json:"canaryMetadata,omitempty"`
	// +optional
	StableMetadata *PodTemplateMetadata `json:"stableMetadata,omitempty"`
	// ScaleDownDelaySeconds keeps the previous stable revision; nil means 30. With a router only.
	// +optional
	ScaleDownDelaySeconds *int32 `json:"scaleDownDelaySeconds,omitempty"`
	// ScaleDownDelayRevisionLimit is how many old revisions may wait; nil means all.
	// +optional
	ScaleDownDelayRevisionLimit *int32 `json:"scaleDownDelayRevisionLimit,omitempty"`
	// AbortScaleDownDelaySeconds keeps the canary after an abort; nil means 30, 0 for good.
	// +optional
	AbortScaleDownDelaySeconds *int32 `json:"abortScaleDownDelaySeconds,omitempty"`
	// DynamicStableScale shrinks stable as the canary's weight grows.
	// +optional
	DynamicStableScale bool `json:"dynamicStableScale,omitempty"`
	// PingPong swaps the roles of two Services at each promotion.
	// +optional
	PingPong *PingPongSpec `json:"pingPong,omitempty"`
	// MinPodsPerReplicaSet raises counts that are not zero.
	// +optional
	MinPodsPerReplicaSet *int32 `json:"minPodsPerReplicaSet,omitempty"`
	// ReplicaProgressThreshold lets steps go on before all pods are available.
	// +optional
	ReplicaProgressThreshold *ReplicaProgressThreshold `json:"replicaProgressThreshold,omitempty"`
}

// PingPongSpec names the two Services.
type PingPongSpec struct {
	PingService string `json:"pingService"`
	PongService string `json:"pongService"`
}

// PingPongType is which of the two Services is stable.
type PingPongType string

// The values of PingPongType; empty counts as pong.
const (
	PPPing PingPongType = "ping"
	PPPong PingPongType = "pong"
)

// ProgressType says how ReplicaProgressThreshold.Value is read.
type ProgressType string

// The values of ProgressType.
const (
	ProgressTypePercentage ProgressType = "Percent"
	ProgressTypePods       ProgressType = "Pods"
)

// ReplicaProgressThreshold is how many pods must be available to go on.
type ReplicaProgressThreshold struct {
	Type  ProgressType `json:"type"`
	Value int32        `json:"value"`
}

// CanaryStep is one step; exactly one member is meant to be set. The order of the
// fields is part of the wire form: StepHash encodes them in this order.
type CanaryStep struct {
	// SetWeight is the canary's share from here on, 0 to maxTrafficWeight.
	// +optional
	SetWeight *int32 `json:"setWeight,omitempty"`
	// Pause waits for a time or for a person.
	// +optional
	Pause *RolloutPause `json:"pause,omitempty"`
	// +optional
	Experiment *RolloutExperimentStep `json:"experiment,omitempty"`
	// Analysis runs and must succeed.
	// +optional
	Analysis *RolloutAnalysis `json:"analysis,omitempty"`
	// SetCanaryScale sets the canary's pods apart from its weight.
	// +optional
	SetCanaryScale *SetCanaryScale `json:"setCanaryScale,omitempty"`
	// +optional
	SetHeaderRoute *SetHeaderRoute `json:"setHeaderRoute,omitempty"`
	// +optional
	SetMirrorRoute *SetMirrorRoute `json:"setMirrorRoute,omitempty"`
	// +optional
	Plugin *PluginStep `json:"plugin,omitempty"`
}

// RolloutPause waits.
type RolloutPause struct {
	// Duration is seconds, or a Go duration string; nil waits for a person.
	// +optional
	Duration *intstr.IntOrString `json:"duration,omitempty"`
	// Timeout bounds the wait for a person, so it goes without a duration: seconds, or a Go
	// duration string, from 1 s. Nil waits for ever. Not published.
	// +optional
	Timeout *intstr.IntOrString `json:"timeout,omitempty"`
	// OnTimeout is what happens then: Abort (the default), Promote, or Hold, which tells and
	// goes on waiting. Not published.
	// +kubebuilder:validation:Enum=Abort;Promote;Hold
	// +optional
	OnTimeout PauseTimeoutAction `json:"onTimeout,omitempty"`
}

// PauseTimeoutAction is what becomes of an update that nobody promotes in time.
type PauseTimeoutAction string

// The values of PauseTimeoutAction.
const (
	PauseTimeoutAbort   PauseTimeoutAction = "Abort"
	PauseTimeoutPromote PauseTimeoutAction = "Promote"
	PauseTimeoutHold    PauseTimeoutAction = "Hold"
)

// SetCanaryScale decouples the canary's pods from its weight. Precedence:
// matchTrafficWeight, replicas, weight.
type SetCanaryScale struct {
	// Weight is the share of spec.replicas, also above 100.
	// +optional
	Weight *int32 `json:"weight,omitempty"`
	// +optional
	Replicas *int32 `json:"replicas,omitempty"`
	// MatchTrafficWeight ends an earlier override.
	// +optional
	MatchTrafficWeight bool `json:"matchTrafficWeight,omitempty"`
}

// SetHeaderRoute sends requests with certain headers to the canary; no match removes it.
type SetHeaderRoute struct {
	// +optional
	Name string `json:"name,omitempty"`
	// +optional
	Match []HeaderRoutingMatch `json:"match,omitempty"`
}

// HeaderRoutingMatch is one header condition.
type HeaderRoutingMatch struct {
	HeaderName  string       `json:"headerName"`
	HeaderValue *StringMatch `json:"headerValue"`
}

// StringMatch compares a string in exactly one way.
type StringMatch struct {
	// +optional
	Exact string `json:"exact,omitempty"`
	// +optional
	Prefix string `json:"prefix,omitempty"`
	// +optional
	Regex string `json:"regex,omitempty"`
}

// SetMirrorRoute copies requests to the canary; no match removes it.
type SetMirrorRoute struct {
	Name string `json:"name"`
	// +optional
	Match []RouteMatch `json:"match,omitempty"`
	// Percentage of the matching requests, 0 to 100; nil means 100.
	// +optional
	Percentage *int32 `json:"percentage,omitempty"`
}

// RouteMatch is one condition on a request.
type RouteMatch struct {
	// +optional
	Method *StringMatch `json:"method,omitempty"`
	// +optional
	Path *StringMatch `json:"path,omitempty"`
	// +optional
	Headers map[string]StringMatch `json:"headers,omitempty"`
}

// PluginStep calls a step plugin.
type PluginStep struct {
	Name string `json:"name"`
	// +optional
	// +kubebuilder:validation:Type=object
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	Config json.RawMessage `json:"config,omitempty"`
}

// RolloutExperimentStep creates an Experiment and waits for its success.
type RolloutExperimentStep struct {
	Templates []RolloutExperimentTemplate `json:"templates"`
	// Duration is a Go duration string.
	// +optional
	Duration DurationString `json:"duration,omitempty"`
	// +optional
	Analyses []RolloutExperimentStepAnalysisTemplateRef `json:"analyses,omitempty"`
	// +optional
	DryRun []DryRun `json:"dryRun,omitempty"`
	// AnalysisRunMetadata is always encoded: StepHash depends on it.
	// +optional
	AnalysisRunMetadata AnalysisRunMetadata `json:"analysisRunMetadata,omitempty"`
	// +optional
	ScaleDownDelaySeconds *int32 `json:"scaleDownDelaySeconds,omitempty"`
}

// ReplicaSetSpecRef is whose pods an experiment template copies.
type ReplicaSetSpecRef string

// The values of ReplicaSetSpecRef.
const (
	CanarySpecRef ReplicaSetSpecRef = "canary"
	StableSpecRef ReplicaSetSpecRef = "stable"
)

// RolloutExperimentTemplate is one group of pods of an experiment step.
type RolloutExperimentTemplate struct {
	Name    string            `json:"name"`
	SpecRef ReplicaSetSpecRef `json:"specRef"`
	// +optional
	Replicas *int32 `json:"replicas,omitempty"`
	// Metadata is always encoded: StepHash depends on it.
	// +optional
	Metadata PodTemplateMetadata `json:"metadata,omitempty"`
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
	// +optional
	Weight *int32 `json:"weight,omitempty"`
	// +optional
	Service *TemplateService `json:"service,omitempty"`
}

// RolloutExperimentStepAnalysisTemplateRef is one analysis of an experiment step.
type RolloutExperimentStepAnalysisTemplateRef struct {
	Name         string `json:"name"`
	TemplateName string `json:"templateName"`
	// +optional
	ClusterScope bool `json:"clusterScope,omitempty"`
	// +optional
	Args []AnalysisRunArgument `json:"args,omitempty"`
	// +optional
	RequiredForCompletion bool `json:"requiredForCompletion,omitempty"`
}

// RolloutAnalysis starts AnalysisRuns from templates.
type RolloutAnalysis struct {
	// +optional
	Templates []AnalysisTemplateRef `json:"templates,omitempty"`
	// +optional
	Args []AnalysisRunArgument `json:"args,omitempty"`
	// +optional
	DryRun []DryRun `json:"dryRun,omitempty"`
	// +optional
	MeasurementRetention []MeasurementRetention `json:"measurementRetention,omitempty"`
	// +optional
	AnalysisRunMetadata AnalysisRunMetadata `json:"analysisRunMetadata,omitempty"`
}

// RolloutAnalysisBackground is analysis beside the steps.
type RolloutAnalysisBackground struct {
	RolloutAnalysis `json:",inline"`
	// StartingStep is the step index from which it runs.
	// +optional
	StartingStep *int32 `json:"startingStep,omitempty"`
}

// AnalysisTemplateRef names a template.
type AnalysisTemplateRef struct {
	// +optional
	TemplateName string `json:"templateName"`
	// ClusterScope means a ClusterAnalysisTemplate.
	// +optional
	ClusterScope bool `json:"clusterScope,omitempty"`
}

// AnalysisRunArgument is an argument that a Rollout gives to a run.
type AnalysisRunArgument struct {
	Name string `json:"name"`
	// +optional
	Value string `json:"value,omitempty"`
	// +optional
	ValueFrom *ArgumentValueFrom `json:"valueFrom,omitempty"`
}

// ArgumentValueFrom takes an argument from the Rollout.
type ArgumentValueFrom struct {
	// +optional
	PodTemplateHashValue *ValueFromPodTemplateHash `json:"podTemplateHashValue,omitempty"`
	// +optional
	FieldRef *FieldRef `json:"fieldRef,omitempty"`
}

// ValueFromPodTemplateHash is which revision's hash is meant.
type ValueFromPodTemplateHash string

// The values of ValueFromPodTemplateHash.
const (
	Stable ValueFromPodTemplateHash = "Stable"
	Latest ValueFromPodTemplateHash = "Latest"
)

// AnalysisRunMetadata is put on the runs.
type AnalysisRunMetadata struct {
	// +optional
	Labels map[string]string `json:"labels,omitempty"`
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`
}
