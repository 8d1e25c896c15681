package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

func TestAClientShowsTheStoredPhaseOnlyWhenItIsOfTheLatestWish(t *testing.T) {
	observedAs := func(s string) func(*v1alpha1.Rollout) {
		return func(r *v1alpha1.Rollout) { r.Status.ObservedGeneration = s }
	}
	workload := func(annotation, seen string) func(*v1alpha1.Rollout) {
		return func(r *v1alpha1.Rollout) {
			r.Spec.WorkloadRef = &v1alpha1.ObjectRef{Name: "web"}
			r.Annotations = map[string]string{v1alpha1.WorkloadGenerationAnnotation: annotation}
			r.Status.WorkloadObservedGeneration = seen
		}
	}
	resumed := func(r *v1alpha1.Rollout) { r.Status.PauseConditions = nil }
	const unobserved, unobservedRef = "Progressing - waiting for rollout spec update to be observed", "Progressing - waiting for rollout spec update to be observed for the reference workload"
	for name, c := range map[string]struct {
		mods []func(*v1alpha1.Rollout)
		want string
	}{
		"the latest spec was seen":               {nil, "Paused - CanaryPauseStep"},
		"an older spec was seen":                 {[]func(*v1alpha1.Rollout){observedAs("2")}, unobserved},
		"an older spec was healthy":              {[]func(*v1alpha1.Rollout){healthy, observedAs("2")}, unobserved},
		"a newer spec was seen":                  {[]func(*v1alpha1.Rollout){observedAs("8575574967")}, "Paused - CanaryPauseStep"}, // Covers: edge 146.
		"a hash of the spec was seen":            {[]func(*v1alpha1.Rollout){observedAs("5b9f9dd6c6")}, "Paused - CanaryPauseStep"}, // Covers: edge 146.
		"nothing was seen, but a phase is there": {[]func(*v1alpha1.Rollout){observedAs("")}, "Paused - CanaryPauseStep"},
		"the pause was taken away":               {[]func(*v1alpha1.Rollout){resumed}, "Progressing - waiting for rollout to unpause"}, // Covers: edge 147.
		"an older spec, pause taken away":        {[]func(*v1alpha1.Rollout){resumed, observedAs("2")}, unobserved},
		"the workload's latest spec was seen":    {[]func(*v1alpha1.Rollout){workload("7", "7")}, "Paused - CanaryPauseStep"},
		"an older one of the workload was seen":  {[]func(*v1alpha1.Rollout){workload("7", "6")}, unobservedRef},
		"none of the workload was seen":          {[]func(*v1alpha1.Rollout){workload("7", "")}, unobservedRef},
		"the workload carries no generation":     {[]func(*v1alpha1.Rollout){workload("", "")}, "Paused - CanaryPauseStep"},
		"a generation without a workload":        {[]func(*v1alpha1.Rollout){workload("7", "6"), func(r *v1alpha1.Rollout) { r.Spec.WorkloadRef = nil }}, "Paused - CanaryPauseStep"},
		"healthy has no message":                 {[]func(*v1alpha1.Rollout){healthy}, "Healthy"},
	} {
		mustEqual(t, name, observed(givenRollout(c.mods...)).line(), c.want)
	}
}

func TestAPhaseIsComputedWhereNoneIsStored(t *testing.T) {
	cond := func(kind v1alpha1.RolloutConditionType, reason string) func(*v1alpha1.Rollout) {
		return func(r *v1alpha1.Rollout) {
			r.Status.Conditions = append(r.Status.Conditions, v1alpha1.RolloutCondition{Type: kind, Reason: reason, Message: "words"})
		}
	}
	full := func(r *v1alpha1.Rollout) {
		healthy(r)
		r.Status.Replicas, r.Status.UpdatedReplicas, r.Status.AvailableReplicas = 4, 4, 4
	}
	with := func(change func(*v1alpha1.RolloutStatus)) func(*v1alpha1.Rollout) {
		return func(r *v1alpha1.Rollout) { change(&r.Status) }
	}
	active := with(func(s *v1alpha1.RolloutStatus) { s.BlueGreen.ActiveSelector = "new" })
	unverified := with(func(s *v1alpha1.RolloutStatus) { s.StableRS = "old" })
	verifying := func(r *v1alpha1.Rollout) {
		r.Spec.Strategy.BlueGreen.PostPromotionAnalysis = &v1alpha1.RolloutAnalysis{}
	}
	verified := with(func(s *v1alpha1.RolloutStatus) {
		s.BlueGreen.PostPromotionAnalysisRunStatus = &v1alpha1.RolloutAnalysisRunStatus{Status: v1alpha1.AnalysisPhaseSuccessful}
	})
	routed := func(r *v1alpha1.Rollout) { r.Spec.Strategy.Canary.TrafficRouting = &v1alpha1.RolloutTrafficRouting{} }
	restart := func(r *v1alpha1.Rollout) { r.Spec.RestartAt = &metav1.Time{Time: epoch} }
	restarted := with(func(s *v1alpha1.RolloutStatus) { s.RestartedAt = &metav1.Time{Time: epoch} })
	old := with(func(s *v1alpha1.RolloutStatus) { s.Replicas = 5 })

	for name, c := range map[string]struct {
		mods []func(*v1alpha1.Rollout)
		want string
	}{
		"an invalid spec":                    {[]func(*v1alpha1.Rollout){full, cond("InvalidSpec", "InvalidSpec")}, "Degraded - InvalidSpec: words"},
		"an abort":                           {[]func(*v1alpha1.Rollout){full, cond("Available", "ok"), cond("Progressing", "RolloutAborted")}, "Degraded - RolloutAborted: words"},
		"a deadline":                         {[]func(*v1alpha1.Rollout){full, cond("Progressing", "ProgressDeadlineExceeded"), cond("InvalidSpec", "x")}, "Degraded - ProgressDeadlineExceeded: words"},
		"a paused spec":                      {[]func(*v1alpha1.Rollout){bySpec}, "Paused - manually paused"},
		"a pause step":                       {nil, "Paused - CanaryPauseStep"},
		"a restart to come":                  {[]func(*v1alpha1.Rollout){full, restart}, "Progressing - rollout is restarting"},
		"a restart that is over":             {[]func(*v1alpha1.Rollout){full, restart, restarted}, "Healthy"},
		"too few updated":                    {[]func(*v1alpha1.Rollout){running}, "Progressing - more replicas need to be updated"},
		"too few available":                  {[]func(*v1alpha1.Rollout){full, with(func(s *v1alpha1.RolloutStatus) { s.AvailableReplicas = 3 })}, "Progressing - updated replicas are still becoming available"},
		"old pods":                           {[]func(*v1alpha1.Rollout){full, old}, "Progressing - old replicas are pending termination"},
		"old pods behind a router":           {[]func(*v1alpha1.Rollout){full, old, routed}, "Healthy"},
		"steps left":                         {[]func(*v1alpha1.Rollout){full, unverified}, "Progressing - waiting for all steps to complete"},
		"no stable revision":                 {[]func(*v1alpha1.Rollout){full, with(func(s *v1alpha1.RolloutStatus) { s.StableRS, s.CurrentPodHash = "", "" })}, "Progressing - waiting for all steps to complete"},
		"all done":                           {[]func(*v1alpha1.Rollout){full}, "Healthy"},
		"blue-green before the switch":       {[]func(*v1alpha1.Rollout){full, blueGreen}, "Progressing - active service cutover pending"},
		"blue-green that is analysed":        {[]func(*v1alpha1.Rollout){full, blueGreen, active, unverified, verifying}, "Progressing - waiting for analysis to complete"},
		"blue-green that was analysed":       {[]func(*v1alpha1.Rollout){full, blueGreen, active, unverified, verifying, verified}, "Progressing - waiting for post-promotion verification to complete"},
		"blue-green that nothing analyses":   {[]func(*v1alpha1.Rollout){full, blueGreen, active, unverified}, "Progressing - waiting for post-promotion verification to complete"},
		"blue-green that is done":            {[]func(*v1alpha1.Rollout){full, blueGreen, active, verifying}, "Healthy"},
		"a Rollout that nobody has seen yet": {[]func(*v1alpha1.Rollout){with(func(s *v1alpha1.RolloutStatus) { *s = v1alpha1.RolloutStatus{} })}, "Progressing - more replicas need to be updated"},
	} {
		r := givenRollout(append(c.mods, in("", ""))...)
		mustEqual(t, name, observed(r).line(), c.want)
	}
}

// TestThePhaseAgreesWithArgoCD holds the phase against what Argo CD's own tests expect
// of the same objects. Both overlays differ in words only.
func TestThePhaseAgreesWithArgoCD(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "shared", "conformance", "argocd", "Rollout")
	text, err := os.ReadFile(filepath.Join(dir, "health_test.yaml"))
	if os.IsNotExist(err) {
		t.Skip("Argo CD's test objects are not beside this repository")
	} else if err != nil {
		t.Fatal(err)
	}
	var suite struct {
		Tests []struct {
			HealthStatus struct{ Status, Message string }
			InputPath    string
		}
	}
	if err := yaml.Unmarshal(text, &suite); err != nil || len(suite.Tests) < 20 {
		t.Fatalf("%d tests, %v", len(suite.Tests), err)
	}
	phases := map[string]v1alpha1.RolloutPhase{"Suspended": v1alpha1.RolloutPhasePaused}
	for _, c := range suite.Tests {
		text, err := os.ReadFile(filepath.Join(dir, c.InputPath))
		if err != nil {
			t.Fatal(err)
		}
		r := &v1alpha1.Rollout{}
		// Lua has one form for both, the API has not.
		text = bytes.ReplaceAll(text, []byte("conditions: {}"), []byte("conditions: []"))
		if err := yaml.Unmarshal(text, r); err != nil {
			t.Fatalf("%s: %v", c.InputPath, err)
		}
		want, ok := phases[c.HealthStatus.Status]
		if !ok {
			want = v1alpha1.RolloutPhase(c.HealthStatus.Status)
		}
		got := observed(r)
		// A status from before 0.9 names no stable revision, or not where the API has it now.
		legacy := r.Status.Phase == "" && r.Status.StableRS == ""
		if got.phase != want && !(legacy && want == v1alpha1.RolloutPhaseHealthy) {
			t.Errorf("%s: %+v, Argo CD expects %+v", c.InputPath, got, c.HealthStatus)
		}
		if r.Status.Phase != "" && got.message != c.HealthStatus.Message && want != v1alpha1.RolloutPhaseProgressing {
			t.Errorf("%s: message %q, Argo CD expects %q", c.InputPath, got.message, c.HealthStatus.Message)
		}
		if picture := render(&world{now: epoch, rollout: *r}, style{}); !strings.Contains(picture, string(got.phase)) || !strings.Contains(picture, "⟳ "+r.Name) {
			t.Errorf("%s is drawn as\n%s", c.InputPath, picture)
		}
	}
}
