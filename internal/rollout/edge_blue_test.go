package rollout_test

import (
	"testing"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
	"github.com/penstock-io/penstock/internal/traffic"
)

// blue makes the given rollout a blue-green one whose active and preview Services select
// the hashes.
func blue(active, preview string, change func(*v1alpha1.BlueGreenStrategy)) mod {
	return func(s *snapshot) {
		b := &v1alpha1.BlueGreenStrategy{ActiveService: "active", PreviewService: "preview"}
		if change != nil {
			change(b)
		}
		s.Spec.Strategy = v1alpha1.RolloutStrategy{BlueGreen: b}
		fit(s)
		s.Status.CurrentStepIndex, s.Routed = nil, true
		s.Services = []rollout.Service{{Name: "active", Exists: true, Managed: active != "", Hash: active}, {Name: "preview", Exists: true, Managed: true, Hash: preview}}
		w := traffic.Two(traffic.DefaultTotal, 0, traffic.Destination{Service: "active", Hash: active}, traffic.Destination{Service: "preview", Hash: preview})
		s.Traffic = traffic.State{Written: w, Live: []traffic.Split{w}, Known: true}
		persist(s)
	}
}

func TestTheActiveService(t *testing.T) {
	byHand := func(b *v1alpha1.BlueGreenStrategy) { b.AutoPromotionEnabled = ptr(false) }
	for name, c := range map[string]struct {
		mods []mod
		want []string
	}{
		"a person decides": {[]mod{blue("v1", "v2", byHand), updating(4, 4), seen, seen}, nil},
		"one without a hash is switched without a person":  {[]mod{blue("", "v2", byHand), updating(4, 4), seen, seen}, []string{"point service active at v2"}}, // Covers: edge 120.
		"but not before all pods are up":                   {[]mod{blue("", "v2", byHand), updating(4, 3), seen, seen}, nil},                                    // Covers: edge 38, edge 40.
		"one that lacks our mark gets it with the old one": {[]mod{blue("", "v1", nil)}, []string{"point service active at v1"}},
		"an autoscaler keeps stable whole":                 {[]mod{blue("v1", "v2", byHand), updating(4, 4), func(s *snapshot) { s.Spec.Replicas = ptr(int32(6)) }}, []string{"scale v1 from 4 to 6", "scale v2 from 4 to 6"}}, // Covers: edge 123.
	} {
		t.Run(name, func(t *testing.T) { does(t, rollout.Decide(given(c.mods...)), c.want...) })
	}
}

// Covers: edge 122.
func TestAnAutoscalerSeesTheActiveRevision(t *testing.T) {
	for name, c := range map[string]struct {
		active   string
		pods     int32
		selector string
	}{
		"of an active Service":   {"v1", 4, "app=demo,rollouts-pod-template-hash=v1"},
		"of one without a hash":  {"", 6, "app=demo"},
		"of one that is unknown": {"gone", 6, "app=demo"},
	} {
		t.Run(name, func(t *testing.T) {
			p := rollout.Decide(given(blue(c.active, "v2", nil), updating(2, 1), pods("v1", 4, 4)))
			if p.Status.HPAReplicas != c.pods || p.Status.Selector != c.selector {
				t.Errorf("%d pods of %q, want %d of %q", p.Status.HPAReplicas, p.Status.Selector, c.pods, c.selector)
			}
		})
	}
}
