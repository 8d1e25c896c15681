package rollout

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// givenRollout is a canary with three steps in the middle of an update; mods change it.
func givenRollout(mods ...func(*v1alpha1.Rollout)) *v1alpha1.Rollout {
	index := int32(1)
	r := &v1alpha1.Rollout{}
	r.Generation = 4
	r.Spec.Strategy.Canary = &v1alpha1.CanaryStrategy{Steps: make([]v1alpha1.CanaryStep, 3)}
	r.Status = v1alpha1.RolloutStatus{CurrentPodHash: "new", StableRS: "old", CurrentStepIndex: &index, ObservedGeneration: "4"}
	for _, mod := range mods {
		mod(r)
	}
	return r
}

func bySpec(r *v1alpha1.Rollout) { r.Spec.Paused = true }
func stable(r *v1alpha1.Rollout) { r.Status.StableRS = "new" }
func bySteps(r *v1alpha1.Rollout) {
	r.Status.ControllerPause = true
	r.Status.PauseConditions = []v1alpha1.PauseCondition{{Reason: v1alpha1.PauseReasonCanaryPauseStep}}
}
func inconclusiveRun(r *v1alpha1.Rollout) {
	r.Status.Canary.CurrentStepAnalysisRunStatus = &v1alpha1.RolloutAnalysisRunStatus{Status: v1alpha1.AnalysisPhaseInconclusive}
}
func blueGreen(r *v1alpha1.Rollout) {
	r.Spec.Strategy = v1alpha1.RolloutStrategy{BlueGreen: &v1alpha1.BlueGreenStrategy{}}
}
func noSteps(r *v1alpha1.Rollout) { r.Spec.Strategy.Canary.Steps = nil }
func atIndex(i *int32) func(*v1alpha1.Rollout) {
	return func(r *v1alpha1.Rollout) { r.Status.CurrentStepIndex = i }
}

// sent writes patches as "resource body [or unified]", one line each.
func sent(patches []Patch) (lines []string) {
	for _, p := range patches {
		line := "main " + string(p.Body)
		if p.Subresource != "" {
			line = p.Subresource + " " + string(p.Body) + " or " + string(p.Unified)
		}
		lines = append(lines, line)
	}
	return lines
}

func TestVerbsThatNeedNoRolloutSendThePublishedBytes(t *testing.T) {
	for name, c := range map[string]struct {
		patches []Patch
		want    string
	}{
		"abort": {Abort(), `status {"status":{"abort":true}} or {"status":{"abort":true}}`},
		"retry": {Retry(), `status {"status":{"abort":false}} or {"status":{"abort":false}}`},
		"pause": {Pause(), `main {"spec":{"paused":true}}`},

		"restart now":               {RestartAt(time.Date(2026, 5, 4, 3, 2, 1, 999, time.UTC)), `main {"spec":{"restartAt":"2026-05-04T03:02:01Z"}}`},
		"restart from another zone": {RestartAt(time.Date(2026, 5, 4, 3, 2, 1, 0, time.FixedZone("", -2*3600))), `main {"spec":{"restartAt":"2026-05-04T05:02:01Z"}}`},
		"terminate":                 {Terminate(), `main {"spec":{"terminate":true}}`},
		"retry an experiment":       {RetryExperiment(), `main {"status":null}`},
	} {
		if diff := cmp.Diff([]string{c.want}, sent(c.patches)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestPromoteSendsThePublishedBytes(t *testing.T) {
	const (
		resume = `status {"status":{"pauseConditions":null}} or {"spec":{"paused":false},"status":{"pauseConditions":null}}`
		full   = `status {"status":{"promoteFull":true}} or {"spec":{"paused":false},"status":{"promoteFull":true}}`
		onTo   = `status {"status":{"pauseConditions":null,"currentStepIndex":2}} or {"spec":{"paused":false},"status":{"pauseConditions":null,"currentStepIndex":2}}`
		unhold = `main {"spec":{"paused":false}}`
	)
	last, past, below := int32(3), int32(9), int32(-4)
	for name, c := range map[string]struct {
		rollout *v1alpha1.Rollout
		options PromoteOptions
		want    []string
	}{
		"a pause step ends":                                 {givenRollout(bySteps), PromoteOptions{}, []string{resume}},
		"a paused spec is only unpaused":                    {givenRollout(bySpec), PromoteOptions{}, []string{unhold}},
		"both pauses end, the status first":                 {givenRollout(bySteps, bySpec), PromoteOptions{}, []string{resume, unhold}},
		"a running step is skipped":                         {givenRollout(), PromoteOptions{}, []string{onTo}},
		"an undecided run without a pause is skipped":       {givenRollout(inconclusiveRun), PromoteOptions{}, []string{onTo}},
		"blue-green waits for a person":                     {givenRollout(blueGreen, bySteps), PromoteOptions{}, []string{resume}},
		"blue-green without a pause has nothing to promote": {givenRollout(blueGreen), PromoteOptions{}, nil},
		"a canary without steps has nothing to promote":     {givenRollout(noSteps), PromoteOptions{}, nil},
		"an undecided run is overruled": {givenRollout(bySteps, inconclusiveRun), PromoteOptions{}, []string{
			`status {"status":{"pauseConditions":null,"controllerPause":false,"currentStepIndex":2}} or {"spec":{"paused":false},"status":{"pauseConditions":null,"controllerPause":false,"currentStepIndex":2}}`}},
		"an undecided run whose pause is worked off is resumed": {givenRollout(bySteps, inconclusiveRun, func(r *v1alpha1.Rollout) { r.Status.ControllerPause = false }), PromoteOptions{}, []string{resume}},

		"full promotion":                                   {givenRollout(), PromoteOptions{Full: true}, []string{full}},
		"full promotion of a paused spec":                  {givenRollout(bySpec), PromoteOptions{Full: true}, []string{full, unhold}},
		"full promotion of what is stable":                 {givenRollout(stable), PromoteOptions{Full: true}, nil},
		"full promotion of what is stable and paused":      {givenRollout(stable, bySpec), PromoteOptions{Full: true}, []string{unhold}},
		"full promotion while a newer spec is yet unseen":  {givenRollout(func(r *v1alpha1.Rollout) { r.Generation = 5 }), PromoteOptions{Full: true}, []string{full}},
		"full promotion under an old form of the revision": {givenRollout(stable, func(r *v1alpha1.Rollout) { r.Status.ObservedGeneration = "5b9f" }), PromoteOptions{Full: true}, nil},

		"skipping the current step":                {givenRollout(), PromoteOptions{SkipCurrent: true}, []string{`status {"status":{"currentStepIndex":2}} or {"status":{"currentStepIndex":2}}`}},
		"skipping leaves pauses as they are":       {givenRollout(bySteps, bySpec), PromoteOptions{SkipCurrent: true}, []string{`status {"status":{"currentStepIndex":2}} or {"status":{"currentStepIndex":2}}`}},
		"skipping all steps":                       {givenRollout(), PromoteOptions{SkipAll: true}, []string{`status {"status":{"currentStepIndex":3}} or {"status":{"currentStepIndex":3}}`}},
		"skipping at the end stays at the end":     {givenRollout(atIndex(&last)), PromoteOptions{SkipCurrent: true}, []string{`status {"status":{"currentStepIndex":3}} or {"status":{"currentStepIndex":3}}`}},
		"skipping past the end comes back":         {givenRollout(atIndex(&past)), PromoteOptions{SkipCurrent: true}, []string{`status {"status":{"currentStepIndex":3}} or {"status":{"currentStepIndex":3}}`}},
		"skipping without an index is from step 0": {givenRollout(atIndex(nil)), PromoteOptions{SkipCurrent: true}, []string{`status {"status":{"currentStepIndex":1}} or {"status":{"currentStepIndex":1}}`}},
		"a negative index counts as the first":     {givenRollout(atIndex(&below)), PromoteOptions{SkipCurrent: true}, []string{`status {"status":{"currentStepIndex":1}} or {"status":{"currentStepIndex":1}}`}},
	} {
		before := c.rollout.DeepCopy()
		patches, err := Promote(c.rollout, c.options)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(c.want, sent(patches)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(before, c.rollout); diff != "" {
			t.Errorf("%s changed the rollout:\n%s", name, diff)
		}
	}
}

func TestPromoteRefusesWithThePublishedTexts(t *testing.T) {
	for name, c := range map[string]struct {
		rollout *v1alpha1.Rollout
		options PromoteOptions
		want    string
	}{
		"both skips":                  {givenRollout(blueGreen), PromoteOptions{SkipCurrent: true, SkipAll: true}, "Cannot use skip-current-step and skip-all-steps flags at the same time"},
		"a skip in blue-green":        {givenRollout(blueGreen), PromoteOptions{SkipCurrent: true}, "Cannot skip steps of a bluegreen rollout. Run without a flags"},
		"all skipped in blue-green":   {givenRollout(blueGreen), PromoteOptions{SkipAll: true}, "Cannot skip steps of a bluegreen rollout. Run without a flags"},
		"a skip without steps":        {givenRollout(noSteps), PromoteOptions{SkipCurrent: true}, "Cannot skip steps of a rollout without steps"},
		"a skip without any strategy": {&v1alpha1.Rollout{}, PromoteOptions{SkipAll: true}, "Cannot skip steps of a rollout without steps"},
		"a full promotion that skips": {givenRollout(), PromoteOptions{Full: true, SkipAll: true}, "cannot promote fully and skip steps at the same time"},
		"a full promotion of a spec that nobody saw": {givenRollout(stable, func(r *v1alpha1.Rollout) { r.Generation = 5 }), PromoteOptions{Full: true},
			"the controller has not yet seen the latest spec, so there is nothing to promote; try again"},
	} {
		patches, err := Promote(c.rollout, c.options)
		if err == nil || err.Error() != c.want || patches != nil {
			t.Errorf("%s: patches %v, error %v, want error %q", name, sent(patches), err, c.want)
		}
	}
}
