package v1alpha1

import (
	"math"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"
)

// Duration parses the string; "" is 0.
func (d DurationString) Duration() (time.Duration, error) {
	if d == "" {
		return 0, nil
	}
	return time.ParseDuration(string(d))
}

// DurationSeconds is the pause in whole seconds: an integer, a decimal string, or a Go
// duration cut to seconds. It is 0 for an endless pause and -1 for anything unreadable
// or out of range (core.md §1.5).
func (p RolloutPause) DurationSeconds() int32 {
	switch {
	case p.Duration == nil:
		return 0
	case p.Duration.Type == intstr.Int:
		return p.Duration.IntVal
	}
	if s, err := strconv.ParseInt(p.Duration.StrVal, 10, 32); err == nil {
		return int32(s)
	}
	d, err := time.ParseDuration(p.Duration.StrVal)
	if s := int64(d / time.Second); err == nil && s <= math.MaxInt32 && s >= math.MinInt32 {
		return int32(s)
	}
	return -1
}
