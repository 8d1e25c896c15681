package rollout_test

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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

// Covers: edge 121.
func TestNoServiceIsSwitchedWhilePausedByTheSpecOrUndecided(t *testing.T) {
	paused := func(s *snapshot) { s.Spec.Paused = true }
	undecided := func(s *snapshot) {
		s.Status.PauseConditions = []v1alpha1.PauseCondition{{Reason: v1alpha1.PauseReasonInconclusiveAnalysis}}
		s.Status.ControllerPause = true
	}
	measured := func(b *v1alpha1.BlueGreenStrategy) { b.PrePromotionAnalysis = inline("smoke").Analysis }
	judged := func(s *snapshot) {
		s.Runs = []rollout.Run{{Name: "demo-v2-2-pre", Kind: rollout.PrePromotion, Step: -1, Hash: "v2", Number: 2,
			Phase: v1alpha1.AnalysisPhaseInconclusive, Created: noon.Add(-time.Minute)}}
		s.Status.BlueGreen.PrePromotionAnalysisRunStatus = &v1alpha1.RolloutAnalysisRunStatus{Name: "demo-v2-2-pre", Status: v1alpha1.AnalysisPhaseInconclusive}
	}
	for name, c := range map[string]struct {
		mods []mod
		want []string
	}{
		"the preview":                    {[]mod{blue("v1", "v1", nil), updating(4, 4)}, []string{"point service preview at v2"}},
		"the preview, paused":            {[]mod{blue("v1", "v1", nil), updating(4, 4), paused}, nil},
		"the preview, undecided":         {[]mod{blue("v1", "v1", measured), updating(4, 4), attempt, judged, undecided}, nil},
		"the active Service":             {[]mod{blue("v1", "v2", nil), updating(4, 4), seen}, []string{"point service active at v2"}},
		"the active Service, paused":     {[]mod{blue("v1", "v2", nil), updating(4, 4), seen, paused}, nil},
		"the active Service, undecided":  {[]mod{blue("v1", "v2", measured), updating(4, 4), attempt, judged, undecided, seen}, nil},
		"nor is one without a hash then": {[]mod{blue("", "v2", nil), updating(4, 4), seen, paused}, nil},
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

// TestTheVerdictOfAPromotionIsKept: a run may be deleted once it has ended, so what it has
// judged has to stand in the status.
func TestTheVerdictOfAPromotionIsKept(t *testing.T) {
	measured := blue("v1", "v2", func(b *v1alpha1.BlueGreenStrategy) {
		b.AutoPromotionEnabled, b.PrePromotionAnalysis = ptr(false), inline("smoke").Analysis
	})
	pre := func(phase v1alpha1.AnalysisPhase, stopped bool) mod {
		return func(s *snapshot) {
			s.Runs = []rollout.Run{{Name: "demo-v2-2-pre", Kind: rollout.PrePromotion, Step: -1, Hash: "v2", Number: 2, Phase: phase,
				Terminating: stopped, Created: noon.Add(-time.Minute)}}
		}
	}
	gone := func(s *snapshot) { s.Runs = nil }
	const good, running = v1alpha1.AnalysisPhaseSuccessful, v1alpha1.AnalysisPhaseRunning
	began := []mod{measured, updating(4, 4), attempt, seen, seen, pre(running, false), seen}
	t.Run("and told once", func(t *testing.T) {
		s := given(append(slices.Clone(began), pre(good, false))...)
		p := rollout.Decide(s)
		want := "PrePromotion Analysis Run 'demo-v2-2-pre' Status New: 'Successful' Previous: 'Running'"
		if got := told(p, "AnalysisRunSuccessful"); !slices.Equal(got, []string{want}) {
			t.Errorf("told %q", got)
		}
		if st := p.Status.BlueGreen.PrePromotionAnalysisRunStatus; st == nil || st.Status != good {
			t.Errorf("recorded %+v", st)
		}
		s.Status = p.Status
		if got := told(rollout.Decide(s), "AnalysisRun"); len(got) > 0 {
			t.Errorf("told again %q", got)
		}
	})
	t.Run("a run that passed and was deleted in the pause is not made anew", func(t *testing.T) {
		does(t, rollout.Decide(given(append(slices.Clone(began), pre(good, false), seen, seen, gone, seen)...)))
	})
	// Covers: defect 2.
	t.Run("one that was told to stop and was deleted lets nothing pass", func(t *testing.T) {
		s := given(append(slices.Clone(began), pre(good, true), seen, seen, gone, seen, seen)...)
		does(t, rollout.Decide(s))
		if s.Status.Phase != v1alpha1.RolloutPhasePaused || s.Status.Message != "InconclusiveAnalysisRun" {
			t.Errorf("%s %s", s.Status.Phase, s.Status.Message)
		}
		s.Status.PauseConditions = nil
		persist(&s)
		does(t, rollout.Decide(s), "start analysis demo-v2-2-pre")
	})
}

// A preview of fixed size is measured at that size, and grows once all before the cutover
// is through, whatever happens to its pods then.
func TestAPreviewOfFixedSize(t *testing.T) {
	small := func(b *v1alpha1.BlueGreenStrategy) { b.PreviewReplicaCount = ptr(int32(2)) }
	measured := func(b *v1alpha1.BlueGreenStrategy) { small(b); b.PrePromotionAnalysis = inline("smoke").Analysis }
	through := func(s *snapshot) { s.Status.BlueGreen.ScaleUpPreviewCheckPoint = true }
	for name, c := range map[string]struct {
		mods  []mod
		want  []string
		point bool // the check point afterwards
	}{
		// Covers: edge 106.
		"no run while a pod is missing": {[]mod{blue("v1", "v2", measured), updating(2, 1)}, nil, false},
		// Covers: edge 106.
		"a run once as many are up": {[]mod{blue("v1", "v2", measured), updating(2, 2)}, []string{"start analysis demo-v2-2-pre"}, false},
		// Covers: edge 118.
		"the check point outlives the loss of a pod": {[]mod{blue("v1", "v2", small), updating(2, 2), through, pods("v2", 2, 1)}, []string{"scale v2 from 2 to 4"}, true},
		// Covers: edge 118.
		"and an autoscaler": {[]mod{blue("v1", "v2", small), updating(4, 4), through, func(s *snapshot) { s.Spec.Replicas = ptr(int32(6)) }},
			[]string{"scale v1 from 4 to 6", "scale v2 from 4 to 6"}, true},
		// Covers: edge 118.
		"but no new template": {[]mod{blue("v1", "v2", small), updating(2, 2), through, func(s *snapshot) { s.TemplateHash = "v3" },
			of("v2", func(r *rollout.Revision) { r.Current = false }), seen}, []string{"create revision 3 (v3)", "set revision 3"}, false},
		// Covers: edge 118.
		"and no promotion": {[]mod{blue("v2", "v2", small), updating(4, 4), through, seen, seen}, []string{"retire v1 at 12:00:30"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := rollout.Decide(given(c.mods...))
			if does(t, p, c.want...); p.Status.BlueGreen.ScaleUpPreviewCheckPoint != c.point {
				t.Errorf("check point %v", !c.point)
			}
		})
	}
}

func TestAnAnalysisThatWasTakenOutLeavesTheStatus(t *testing.T) {
	for name, left := range map[string]*v1alpha1.RolloutAnalysis{"the section": nil, "its templates": {}} {
		s := given(blue("v1", "v1", func(b *v1alpha1.BlueGreenStrategy) { b.PrePromotionAnalysis, b.PostPromotionAnalysis = left, left }))
		old := v1alpha1.RolloutAnalysisRunStatus{Name: "x", Status: v1alpha1.AnalysisPhaseSuccessful}
		s.Status.BlueGreen.PrePromotionAnalysisRunStatus, s.Status.BlueGreen.PostPromotionAnalysisRunStatus = &old, &old
		if b := rollout.Decide(s).Status.BlueGreen; b.PrePromotionAnalysisRunStatus != nil || b.PostPromotionAnalysisRunStatus != nil {
			t.Errorf("%s: %+v", name, b)
		}
	}
}

// The way back is one write and the status that says so another. A controller that got no
// further than the first finds the verdict again, although the position is another one now.
func TestAVerdictAfterTheCutoverOutlivesALostStatus(t *testing.T) {
	after := func(b *v1alpha1.BlueGreenStrategy) {
		b.PostPromotionAnalysis = &v1alpha1.RolloutAnalysis{Templates: []v1alpha1.AnalysisTemplateRef{{TemplateName: "errors"}}}
	}
	judged := func(phase v1alpha1.AnalysisPhase) mod {
		return func(s *snapshot) {
			s.Runs = []rollout.Run{{Name: "demo-v2-2-post", Kind: rollout.PostPromotion, Step: -1, Hash: "v2", Number: 2, Phase: phase, Created: s.Now}}
			s.Status.BlueGreen.PostPromotionAnalysisRunStatus = &v1alpha1.RolloutAnalysisRunStatus{Name: "demo-v2-2-post", Status: v1alpha1.AnalysisPhaseRunning}
		}
	}
	wentBack := func(s *snapshot) {
		w := traffic.Two(traffic.DefaultTotal, 0, traffic.Destination{Service: "active", Hash: "v1"}, traffic.Destination{Service: "preview", Hash: "v2"})
		s.Services[0].Hash = "v1"
		s.Traffic = traffic.State{Written: w, Live: []traffic.Split{w}, Known: true}
	}
	cutOver := []mod{blue("v2", "v2", after), updating(4, 4), func(s *snapshot) { s.Status.BlueGreen.ScaleUpPreviewCheckPoint = true }}
	for name, c := range map[string]struct {
		mods  []mod
		want  []string
		abort bool
	}{
		"the verdict moves the Service":             {append(slices.Clone(cutOver), judged(v1alpha1.AnalysisPhaseFailed)), []string{"point service active at v1"}, true},
		"and it stays there":                        {append(slices.Clone(cutOver), judged(v1alpha1.AnalysisPhaseFailed), wentBack), nil, true},
		"so it does when nothing could be measured": {append(slices.Clone(cutOver), judged(v1alpha1.AnalysisPhaseError), wentBack), nil, true},
		"without a verdict there is no way back":    {append(slices.Clone(cutOver), judged(v1alpha1.AnalysisPhaseRunning)), nil, false},
		"that of a former attempt does not count":   {append(slices.Clone(cutOver), judged(v1alpha1.AnalysisPhaseFailed), wentBack, func(s *snapshot) { s.Status.AbortedAt = ptr(metav1.NewTime(s.Now)) }), nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := rollout.Decide(given(c.mods...))
			does(t, p, c.want...)
			if p.Status.Abort != c.abort || (p.Status.AbortedAt != nil) != c.abort {
				t.Errorf("abort is %v since %v", p.Status.Abort, p.Status.AbortedAt)
			}
		})
	}
}
