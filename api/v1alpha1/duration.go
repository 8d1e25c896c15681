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
func (p RolloutPause) DurationSeconds() int32 { return seconds(p.Duration) }

// TimeoutSeconds is how long the pause waits for a person, in the same way: 0 is for ever.
func (p RolloutPause) TimeoutSeconds() int32 { return seconds(p.Timeout) }

func seconds(v *intstr.IntOrString) int32 {
	switch {
	case v == nil:
		return 0
	case v.Type == intstr.Int:
		return v.IntVal
	}
	if s, err := strconv.ParseInt(v.StrVal, 10, 32); err == nil {
		return int32(s)
	}
	d, err := time.ParseDuration(v.StrVal)
	if s := int64(d / time.Second); err == nil && s <= math.MaxInt32 && s >= math.MinInt32 {
		return int32(s)
	}
	return -1
}
