package rollout

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
)

// A checker that checks nothing would let every odd Rollout pass.
func TestUnsoundPlansAreSeen(t *testing.T) {
	split := func(total int32, weights ...int32) Action {
		s := traffic.Split{Total: total}
		for _, w := range weights {
			s.Destinations = append(s.Destinations, traffic.Destination{Weight: w})
		}
		return SetSplit{s}
	}
	index := int32(4)
	valid := Snapshot{Now: epoch, Spec: *specOf(t, "replicas: 2"), Revisions: []Revision{{Hash: "a"}}}
	invalid, negative, misread := valid, valid, valid
	invalid.Invalid, negative.Invalid, misread.Invalid = "no", "no", "no"
	negative.Spec = *specOf(t, "replicas: -1")
	misread.Spec = *readSpec(t, "{replicas: 2, strategy: {canary: {steps: 5}}}")
	for name, c := range map[string]struct {
		in   Snapshot
		plan Plan
		want string // part of the fault, "" for none
	}{
		"nothing":                        {valid, Plan{}, ""},
		"a scale":                        {valid, Plan{Actions: []Action{Scale{Hash: "a", From: 2, To: 1}}}, ""},
		"a scale below 0":                {valid, Plan{Actions: []Action{Scale{Hash: "a", From: 2, To: -1}}}, "from 2 to -1"},
		"an abort of an invalid spec":    {invalid, Plan{Actions: []Action{Scale{Hash: "a", From: 2, To: 1}}}, ""},
		"pods lost to a negative number": {negative, Plan{Actions: []Action{Scale{Hash: "a", From: 2, To: 0}}}, "from 2 to 0"},
		"pods lost to a misread spec":    {misread, Plan{Actions: []Action{Scale{Hash: "a", From: 2, To: 1}}}, "from 2 to 1"},
		"pods gained by a misread spec":  {misread, Plan{Actions: []Action{Scale{Hash: "a", From: 1, To: 2}}}, ""},
		"a workload below 0":             {valid, Plan{Actions: []Action{ScaleWorkload{From: 1, To: -1}}}, "workload from 1 to -1"},
		"a workload of a misread spec":   {misread, Plan{Actions: []Action{ScaleWorkload{From: 1, To: 0}}}, "workload from 1 to 0"},
		"a split":                        {valid, Plan{Actions: []Action{split(100, 95, 5)}}, ""},
		"a split below 0":                {valid, Plan{Actions: []Action{split(100, 105, -5)}}, "set split"},
		"a split of too much":            {valid, Plan{Actions: []Action{split(100, 100, 5)}}, "set split"},
		"a split of nothing":             {valid, Plan{Actions: []Action{split(0)}}, "set split"},
		"an end in the past":             {valid, Plan{Actions: []Action{Retire{Hash: "a", At: epoch.Add(-time.Hour)}}}, "retire a"},
		"no end at all":                  {valid, Plan{Actions: []Action{Retire{Hash: "a"}}}, ""},
		"a revision of an invalid spec":  {invalid, Plan{Actions: []Action{EnsureRevision{Hash: "a"}}}, "of an invalid spec"},
		"a step that is not there":       {valid, Plan{Status: v1alpha1.RolloutStatus{CurrentStepIndex: &index}}, "step index 4 of 2"},
		"a negative count":               {valid, Plan{Status: v1alpha1.RolloutStatus{ReadyReplicas: -1}}, "negative counts"},
		"a negative weight": {valid, Plan{Status: v1alpha1.RolloutStatus{Canary: v1alpha1.CanaryStatus{
			Weights: &v1alpha1.TrafficWeights{Stable: v1alpha1.WeightDestination{Weight: -1}}}}}, "negative weights"},
		"too many actions":   {valid, Plan{Actions: slices.Repeat([]Action{SetNumber{1}}, 100)}, "100 actions"},
		"too long a note":    {valid, Plan{Notes: []Note{{Message: strings.Repeat("x", 10_000)}}}, "a note of 10000 bytes"},
		"too large a status": {valid, Plan{Status: v1alpha1.RolloutStatus{Message: strings.Repeat("x", 30_000)}}, "a status of 30"},
	} {
		faults := strings.Join(append(unbounded(&c.in, &c.plan, 100), unsound(&c.in, &c.plan)...), "\n")
		if (faults == "") != (c.want == "") || !strings.Contains(faults, c.want) {
			t.Errorf("%s: got %q, want %q", name, faults, c.want)
		}
	}
}
