package rollout_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/penstock-io/penstock/internal/rollout"
)

// TestEventsOfActionsToTheLetter: core.md §7.6.
func TestEventsOfActionsToTheLetter(t *testing.T) {
	for name, c := range map[string]struct {
		action rollout.Action
		want   string // "" for no event
	}{
		"a new ReplicaSet":             {rollout.EnsureRevision{Hash: "abc", Number: 3}, "NewReplicaSetCreated: Created ReplicaSet demo-abc (revision 3)"},
		"the number of the Rollout":    {rollout.SetNumber{Number: 3}, "RolloutUpdated: Rollout updated to revision 3"},
		"the number of a ReplicaSet":   {rollout.Renumber{Hash: "abc", Number: 3}, ""},
		"more pods":                    {rollout.Scale{Hash: "abc", Number: 3, From: 1, To: 4}, "ScalingReplicaSet: Scaled up ReplicaSet demo-abc (revision 3) from 1 to 4"},
		"fewer pods":                   {rollout.Scale{Hash: "abc", Number: 3, From: 4, To: 0}, "ScalingReplicaSet: Scaled down ReplicaSet demo-abc (revision 3) from 4 to 0"},
		"an experiment":                {rollout.StartExperiment{Name: "demo-abc-3-1"}, "ExperimentCreated: Created Experiment 'demo-abc-3-1'"},
		"a Service that goes over":     {rollout.SetSelector{Service: "web", From: "abc", Hash: "def"}, "SwitchService: Switched selector for service 'web' from 'abc' to 'def'"},
		"a Service without a revision": {rollout.SetSelector{Service: "web", Hash: "def"}, "SwitchService: Switched selector for service 'web' from '' to 'def'"},
		"a Service that gets our mark": {rollout.SetSelector{Service: "web", From: "abc", Hash: "abc"}, ""},
		"a deadline":                   {rollout.Retire{Hash: "abc", At: noon}, ""},
	} {
		got := ""
		if n, ok := rollout.Did("demo", c.action); ok {
			got = string(n.Reason) + ": " + n.Message
			if n.Kind != rollout.Event {
				t.Errorf("%s is told as %v", name, n.Kind)
			}
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}
