package rollout

import (
	"testing"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// TestStepsAreNamedAsPublished: the names stand in RolloutStepCompleted events (core.md
// §5.3), and what a step waits for follows the published order where it sets several
// things (§5.5).
func TestStepsAreNamedAsPublished(t *testing.T) {
	n, w, pause := int32(3), int32(20), intstr.FromString("1h30m")
	scale := &v1alpha1.SetCanaryScale{Replicas: &n}
	all := v1alpha1.CanaryStep{Pause: &v1alpha1.RolloutPause{}, SetCanaryScale: scale, SetWeight: &w, Experiment: &v1alpha1.RolloutExperimentStep{},
		Analysis: &v1alpha1.RolloutAnalysis{}, SetHeaderRoute: &v1alpha1.SetHeaderRoute{Name: "h"}, SetMirrorRoute: &v1alpha1.SetMirrorRoute{Name: "m"},
		Plugin: &v1alpha1.PluginStep{Name: "x/y"}}
	for name, c := range map[string]struct {
		step v1alpha1.CanaryStep
		want kind
		text string
	}{
		"a weight":                   {v1alpha1.CanaryStep{SetWeight: &w}, weightStep, "setWeight: 20"},
		"an endless pause":           {v1alpha1.CanaryStep{Pause: &v1alpha1.RolloutPause{}}, pauseStep, "pause"},
		"a timed pause":              {v1alpha1.CanaryStep{Pause: &v1alpha1.RolloutPause{Duration: &pause}}, pauseStep, "pause: 1h30m"},
		"an experiment":              {v1alpha1.CanaryStep{Experiment: &v1alpha1.RolloutExperimentStep{}}, experimentStep, "experiment"},
		"an analysis":                {v1alpha1.CanaryStep{Analysis: &v1alpha1.RolloutAnalysis{}}, analysisStep, "analysis"},
		"a scale by weight":          {v1alpha1.CanaryStep{SetCanaryScale: &v1alpha1.SetCanaryScale{Weight: &w}}, scaleStep, "setCanaryScale{weight: 20}"},
		"a scale by pods":            {v1alpha1.CanaryStep{SetCanaryScale: scale}, scaleStep, "setCanaryScale{replicas: 3}"},
		"a scale that follows again": {v1alpha1.CanaryStep{SetCanaryScale: &v1alpha1.SetCanaryScale{Weight: &w, MatchTrafficWeight: true}}, scaleStep, "setCanaryScale{matchTrafficWeight: true}"},
		"a scale of nothing":         {v1alpha1.CanaryStep{SetCanaryScale: &v1alpha1.SetCanaryScale{}}, scaleStep, "invalid"},
		"a plugin":                   {v1alpha1.CanaryStep{Plugin: &v1alpha1.PluginStep{Name: "x/y"}}, pluginStep, "plugin: x/y"},
		"a header route":             {v1alpha1.CanaryStep{SetHeaderRoute: &v1alpha1.SetHeaderRoute{Name: "h"}}, headerStep, "setHeaderRoute: h"},
		"a mirror":                   {v1alpha1.CanaryStep{SetMirrorRoute: &v1alpha1.SetMirrorRoute{Name: "m"}}, mirrorStep, "setMirrorRoute: m"},
		"of all kinds the pause":     {all, pauseStep, "pause"},
		"then the scale":             {lacking(all, 1), scaleStep, "setCanaryScale{replicas: 3}"}, // Covers: edge 23.
		"then the weight":            {lacking(all, 2), weightStep, "setWeight: 20"},
		"then the experiment":        {lacking(all, 3), experimentStep, "experiment"},
		"then the analysis":          {lacking(all, 4), analysisStep, "analysis"},
		"then the header route":      {lacking(all, 5), headerStep, "setHeaderRoute: h"},
		"then the mirror":            {lacking(all, 6), mirrorStep, "setMirrorRoute: m"},
		"and the plugin comes last":  {lacking(all, 7), pluginStep, "plugin: x/y"},
		"a step of nothing at all":   {v1alpha1.CanaryStep{}, "", "invalid"},
	} {
		got := canarySteps(&v1alpha1.CanaryStrategy{Steps: []v1alpha1.CanaryStep{c.step}}, true)[0]
		if got.kind != c.want || got.text != c.text {
			t.Errorf("%s: kind %v, %q; want %v, %q", name, got.kind, got.text, c.want, c.text)
		}
	}
}

// lacking takes the first kinds of the published order away.
func lacking(s v1alpha1.CanaryStep, kinds int) v1alpha1.CanaryStep {
	for i, drop := range []func(){
		func() { s.Pause = nil }, func() { s.SetCanaryScale = nil }, func() { s.SetWeight = nil }, func() { s.Experiment = nil },
		func() { s.Analysis = nil }, func() { s.SetHeaderRoute = nil }, func() { s.SetMirrorRoute = nil },
	} {
		if i < kinds {
			drop()
		}
	}
	return s
}
