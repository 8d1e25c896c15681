package rollout_test

import (
	"testing"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// Pods that come up and fall over again look like progress at every second look. Only more
// of them than there ever were since the last move count.
//
// Covers: outage 42.
func TestAFlappingPodMakesNoProgress(t *testing.T) {
	// Two pods are wanted, one stays down and one comes and goes.
	s := given(routed(0, "v2"), steps(weight(50), pause()), updating(2, 0), seen)
	minutes := 0
	for ; minutes < 60 && s.Status.Phase != v1alpha1.RolloutPhaseDegraded; minutes++ {
		later(time.Minute)(&s)
		pods("v2", 2, int32(minutes%2))(&s)
		persist(&s)
	}
	if minutes < 9 || minutes > 15 {
		t.Errorf("degraded after %d minutes of flapping, with a deadline of ten", minutes)
	}
}
