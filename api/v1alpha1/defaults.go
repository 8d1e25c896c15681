package v1alpha1

import "math"

// Defaults of absent fields. Durations are in seconds.
const (
	DefaultReplicas                    int32 = 1
	DefaultRevisionHistoryLimit        int32 = 10
	DefaultAnalysisRunHistoryLimit     int32 = 5
	DefaultProgressDeadlineSeconds     int32 = 600
	DefaultScaleDownDelaySeconds       int32 = 30
	DefaultAbortScaleDownDelaySeconds  int32 = 30
	DefaultMaxTrafficWeight            int32 = 100
	DefaultMeasurementRetention        int32 = 10
	DefaultConsecutiveErrorLimit       int32 = 4
	DefaultExperimentReplicas          int32 = 1
	DefaultScaleDownDelayRevisionLimit int32 = math.MaxInt32
	// DefaultMaxSurge and DefaultMaxUnavailable are percentages, though they carry no percent sign.
	DefaultMaxSurge             = "25"
	DefaultMaxUnavailable       = "25"
	DefaultAutoPromotionEnabled = true
	// DefaultNginxAnnotationPrefix and DefaultALBAnnotationPrefix come before the slash of an annotation's key.
	DefaultNginxAnnotationPrefix = "nginx.ingress.kubernetes.io"
	DefaultALBAnnotationPrefix   = "alb.ingress.kubernetes.io"
)

// ReplicasOrDefault is the number of pods wanted, 1 when absent.
func (s *RolloutSpec) ReplicasOrDefault() int32 { return or(s.Replicas, DefaultReplicas) }

// RevisionHistoryLimitOrDefault is the number of old ReplicaSets kept, 10 when absent.
func (s *RolloutSpec) RevisionHistoryLimitOrDefault() int32 {
	return or(s.RevisionHistoryLimit, DefaultRevisionHistoryLimit)
}

// ProgressDeadlineSecondsOrDefault is the deadline in seconds, 600 when absent.
func (s *RolloutSpec) ProgressDeadlineSecondsOrDefault() int32 {
	return or(s.ProgressDeadlineSeconds, DefaultProgressDeadlineSeconds)
}

// SuccessfulRunHistoryLimitOrDefault is the number of successful runs kept, 5 when absent.
func (s *RolloutSpec) SuccessfulRunHistoryLimitOrDefault() int32 {
	if s.Analysis == nil {
		return DefaultAnalysisRunHistoryLimit
	}
	return or(s.Analysis.SuccessfulRunHistoryLimit, DefaultAnalysisRunHistoryLimit)
}

// UnsuccessfulRunHistoryLimitOrDefault is the number of unsuccessful runs kept, 5 when absent.
func (s *RolloutSpec) UnsuccessfulRunHistoryLimitOrDefault() int32 {
	if s.Analysis == nil {
		return DefaultAnalysisRunHistoryLimit
	}
	return or(s.Analysis.UnsuccessfulRunHistoryLimit, DefaultAnalysisRunHistoryLimit)
}

// AutoPromotionEnabledOrDefault is false only when the user said so.
func (b *BlueGreenStrategy) AutoPromotionEnabledOrDefault() (enabled bool) {
	return or(b.AutoPromotionEnabled, DefaultAutoPromotionEnabled)
}

// ScaleDownDelaySecondsOrDefault is the delay after the switch in seconds, 30 when absent.
func (b *BlueGreenStrategy) ScaleDownDelaySecondsOrDefault() int32 {
	return or(b.ScaleDownDelaySeconds, DefaultScaleDownDelaySeconds)
}

// AbortScaleDownDelaySecondsOrDefault is the delay after an abort in seconds, 30 when absent; 0 means for ever.
func (b *BlueGreenStrategy) AbortScaleDownDelaySecondsOrDefault() int32 {
	return or(b.AbortScaleDownDelaySeconds, DefaultAbortScaleDownDelaySeconds)
}

// ScaleDownDelaySecondsOrDefault is the delay after promotion in seconds: 30 when absent, and 0 without a router.
func (c *CanaryStrategy) ScaleDownDelaySecondsOrDefault() int32 {
	if c.TrafficRouting == nil {
		return 0
	}
	return or(c.ScaleDownDelaySeconds, DefaultScaleDownDelaySeconds)
}

// AbortScaleDownDelaySecondsOrDefault is the delay after an abort in seconds, 30 when absent; 0 means for ever. It means
// nothing without a router.
func (c *CanaryStrategy) AbortScaleDownDelaySecondsOrDefault() int32 {
	return or(c.AbortScaleDownDelaySeconds, DefaultAbortScaleDownDelaySeconds)
}

// MaxTrafficWeightOrDefault is the sum of all weights, 100 when absent. The receiver may be nil.
func (t *RolloutTrafficRouting) MaxTrafficWeightOrDefault() int32 {
	if t == nil {
		return DefaultMaxTrafficWeight
	}
	return or(t.MaxTrafficWeight, DefaultMaxTrafficWeight)
}

// ReplicasOrDefault is the number of pods wanted, 1 when absent.
func (t *TemplateSpec) ReplicasOrDefault() int32 { return or(t.Replicas, DefaultExperimentReplicas) }

// ProgressDeadlineSecondsOrDefault is the deadline in seconds, 600 when absent.
func (s *ExperimentSpec) ProgressDeadlineSecondsOrDefault() int32 {
	return or(s.ProgressDeadlineSeconds, DefaultProgressDeadlineSeconds)
}

// ScaleDownDelaySecondsOrDefault is the delay after the end in seconds, 30 when absent.
func (s *ExperimentSpec) ScaleDownDelaySecondsOrDefault() int32 {
	return or(s.ScaleDownDelaySeconds, DefaultScaleDownDelaySeconds)
}

func or[T any](value *T, otherwise T) T {
	if value == nil {
		return otherwise
	}
	return *value
}
