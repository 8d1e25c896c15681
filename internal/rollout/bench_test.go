package rollout

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
)

// big is a rollout of 20 steps with 10 revisions, half way through.
func big() Snapshot {
	var steps []v1alpha1.CanaryStep
	for i := range int32(10) {
		w, d := 5+i*10, intstr.FromString("10m")
		steps = append(steps, v1alpha1.CanaryStep{SetWeight: &w}, v1alpha1.CanaryStep{Pause: &v1alpha1.RolloutPause{Duration: &d}})
	}
	a := newArena(steps, nil)
	s := a.quiet(3)
	s.Template, s.Pos, s.Index = 1, 1, 10
	snap := a.snapshot(&s)
	snap.Revisions = nil
	for i := range 10 {
		snap.Revisions = append(snap.Revisions, Revision{Hash: fmt.Sprintf("v%d", 10-i), Name: fmt.Sprintf("demo-v%d", 10-i),
			Number: int64(10 - i), Created: epoch, Observed: true})
	}
	n := int32(40)
	snap.Spec.Replicas = &n
	cur, st := &snap.Revisions[0], &snap.Revisions[1]
	cur.Current, cur.Desired, cur.Actual, cur.Ready, cur.Available = true, 22, 22, 22, 22
	st.Desired, st.Actual, st.Ready, st.Available = 40, 40, 40, 40
	snap.TemplateHash, snap.Status.CurrentPodHash, snap.Status.StableRS, snap.Number = "v10", "v10", "v9", 10
	split := traffic.Two(100, 55, traffic.Destination{Service: "stable", Hash: "v9"}, traffic.Destination{Service: "canary", Hash: "v10"})
	snap.Traffic = traffic.State{Written: split, Live: []traffic.Split{split}, Known: true}
	snap.Services[0].Hash, snap.Services[1].Hash = "v9", "v10"
	return snap
}

// BenchmarkDecide measures one decision about a rollout of 20 steps with 10 revisions;
// the budget is 50 µs.
func BenchmarkDecide(b *testing.B) {
	s := big()
	if p := Decide(s); len(p.Actions) != 0 {
		b.Fatalf("the rollout is not at rest in its step: %v", p.Actions)
	}
	b.ReportAllocs()
	for b.Loop() {
		Decide(s)
	}
}
