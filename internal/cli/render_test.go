package cli

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

var rewrite = flag.Bool("update", false, "write the pictures in testdata anew")

// pictures are worlds that get drawn into testdata/<name>.txt.
func pictures() map[string]*world {
	second := metav1.NewTime(epoch.Add(-30 * time.Second))
	canary := &world{now: epoch, rollout: *givenRollout(),
		replicaSets: []appsv1.ReplicaSet{*givenSet("old", "6", "acme/web:2.3.0", 4, 12*24*time.Hour), *givenSet("new", "7", "acme/web:2.4.0", 1, 3*time.Minute), *givenSet("gone", "5", "acme/web:2.2.0", 0, 30*24*time.Hour)},
		pods: []corev1.Pod{*givenPod("web-new", "q8zxm", 3*time.Minute), *givenPod("web-old", "t6v4c", 24*time.Hour), *givenPod("web-old", "4hk2t", 24*time.Hour),
			*givenPod("web-old", "9wq7p", 48*time.Hour, func(p *corev1.Pod) { p.Status.ContainerStatuses[0].RestartCount = 1 }), *givenPod("other", "x", time.Hour)},
		runs: []v1alpha1.AnalysisRun{*givenRun("web-new-7-1", "7", v1alpha1.AnalysisPhaseRunning, 2*time.Minute,
			v1alpha1.MetricResult{Successful: 2, Error: 1}, v1alpha1.MetricResult{Failed: 1, Inconclusive: 3}),
			*givenRun("web-new-7-0", "7", v1alpha1.AnalysisPhaseSuccessful, 3*time.Minute, v1alpha1.MetricResult{Successful: 1,
				Measurements: []v1alpha1.Measurement{{Phase: v1alpha1.AnalysisPhaseSuccessful, StartedAt: &second, Metadata: map[string]string{"job-name": "smoke.1"}}}})},
	}
	aborted := &world{now: epoch, rollout: *givenRollout(degraded), replicaSets: slices.Clone(canary.replicaSets)}
	failing := givenSet("new", "7", "acme/web:2.4.0", 1, 3*time.Minute)
	failing.Annotations[v1alpha1.ScaleDownDeadlineAnnotation] = "2000-01-01T00:00:25Z"
	failing.Status.AvailableReplicas = 0
	failing.Status.Conditions = []appsv1.ReplicaSetCondition{{Type: appsv1.ReplicaSetReplicaFailure, Status: corev1.ConditionTrue}}
	aborted.replicaSets[1] = *failing
	blue := &world{now: epoch, rollout: *givenRollout(blueGreen, func(r *v1alpha1.Rollout) {
		r.Status.Message, r.Status.PauseConditions[0].Reason = "BlueGreenPause", v1alpha1.PauseReasonBlueGreenPause
		r.Status.BlueGreen = v1alpha1.BlueGreenStatus{ActiveSelector: "old", PreviewSelector: "new"}
	}), replicaSets: slices.Clone(canary.replicaSets)}
	blue.replicaSets[2].Annotations = map[string]string{v1alpha1.ScaleDownDeadlineAnnotation: "1999-12-31T23:00:00Z"}
	trial := withTrial(&world{now: epoch, rollout: *givenRollout(), replicaSets: canary.replicaSets, pods: canary.pods, runs: canary.runs[:1]})
	return map[string]*world{
		"trial": trial, "canary": canary, "aborted": aborted, "bluegreen": blue,
		"empty": {now: epoch, rollout: v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop"}}},
		"pingpong": {now: epoch, rollout: *givenRollout(func(r *v1alpha1.Rollout) {
			r.Spec.Strategy.Canary.PingPong = &v1alpha1.PingPongSpec{}
			r.Spec.Strategy.Canary.TrafficRouting = &v1alpha1.RolloutTrafficRouting{}
			r.Status.Canary.Weights = &v1alpha1.TrafficWeights{Canary: v1alpha1.WeightDestination{Weight: 17}}
		}), replicaSets: canary.replicaSets},
	}
}

// withTrial adds an Experiment of the newest revision, with a set of pods and a run.
func withTrial(w *world) *world {
	w.experiments = append(w.experiments, *givenExperiment())
	w.replicaSets = append(slices.Clone(w.replicaSets), *givenTrialSet())
	w.pods = append(slices.Clone(w.pods), *givenPod("web-trial-baseline", "aaaaa", time.Minute))
	run := givenRun("web-trial-smoke", "", v1alpha1.AnalysisPhaseFailed, time.Minute, v1alpha1.MetricResult{Failed: 1})
	run.OwnerReferences, run.Labels = controlledBy("Experiment", "web-trial"), nil
	w.runs = append(slices.Clone(w.runs), *run)
	return w
}

func TestAnExperimentIsDrawnAlone(t *testing.T) {
	w := withTrial(&world{now: epoch})
	for name, st := range map[string]style{"experiment": {}, "experiment-colour": {colour: true}, "experiment-wide": {wide: true}} {
		t.Run(name, func(t *testing.T) { golden(t, name, renderExperiment(w, st)) })
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".txt")
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPicturesAreAsPublished(t *testing.T) {
	for name, w := range pictures() {
		for suffix, colour := range map[string]paint{"": false, "-colour": true} {
			if colour && name != "canary" && name != "aborted" {
				continue
			}
			t.Run(name+suffix, func(t *testing.T) {
				golden(t, name+suffix, render(w, style{colour: colour}))
			})
		}
	}
}

func TestColoursDoNotMoveAnything(t *testing.T) {
	for name, w := range pictures() {
		if diff := cmp.Diff(render(w, style{}), escape.ReplaceAllString(render(w, style{colour: true}), "")); diff != "" {
			t.Errorf("%s (-plain +coloured):\n%s", name, diff)
		}
	}
}

func TestAPictureDoesNotDependOnTheOrderOfLists(t *testing.T) {
	for name, w := range pictures() {
		want := render(w, style{})
		slices.Reverse(w.replicaSets)
		slices.Reverse(w.pods)
		slices.Reverse(w.runs)
		mustEqual(t, name, render(w, style{}), want)
	}
}

func TestWeightsShowWhatStepsAskForAndWhatIs(t *testing.T) {
	at := func(i int32) func(*v1alpha1.Rollout) {
		return func(r *v1alpha1.Rollout) { r.Status.CurrentStepIndex = &i }
	}
	routed := func(r *v1alpha1.Rollout) {
		r.Spec.Strategy.Canary.TrafficRouting = &v1alpha1.RolloutTrafficRouting{MaxTrafficWeight: new(int32(1000))}
	}
	written := func(r *v1alpha1.Rollout) {
		r.Status.Canary.Weights = &v1alpha1.TrafficWeights{Canary: v1alpha1.WeightDestination{Weight: 250}}
	}
	none := func(r *v1alpha1.Rollout) { r.Status.AvailableReplicas = 0 }
	for name, c := range map[string]struct {
		mods           []func(*v1alpha1.Rollout)
		wanted, actual int32
	}{
		"at a pause after 25 %, by pods":       {nil, 25, 20},
		"at the first step":                    {[]func(*v1alpha1.Rollout){at(0)}, 25, 20},
		"at the last step":                     {[]func(*v1alpha1.Rollout){at(2)}, 50, 20},
		"past the last step":                   {[]func(*v1alpha1.Rollout){at(3)}, 100, 100},
		"past the last step, of a thousand":    {[]func(*v1alpha1.Rollout){at(3), routed}, 1000, 1000},
		"without an index":                     {[]func(*v1alpha1.Rollout){func(r *v1alpha1.Rollout) { r.Status.CurrentStepIndex = nil }}, 25, 20},
		"before any weight":                    {[]func(*v1alpha1.Rollout){at(0), func(r *v1alpha1.Rollout) { r.Spec.Strategy.Canary.Steps[0].SetWeight = nil }}, 0, 20},
		"without steps":                        {[]func(*v1alpha1.Rollout){func(r *v1alpha1.Rollout) { r.Spec.Strategy.Canary.Steps = nil }}, 100, 100},
		"aborted":                              {[]func(*v1alpha1.Rollout){degraded}, 0, 20},
		"nothing is available":                 {[]func(*v1alpha1.Rollout){none}, 25, 0},
		"through a router, weight not written": {[]func(*v1alpha1.Rollout){routed}, 25, 25},
		"through a router, weight written":     {[]func(*v1alpha1.Rollout){routed, written}, 25, 250},
		"a negative index":                     {[]func(*v1alpha1.Rollout){at(-3)}, 25, 20},
	} {
		w := &world{rollout: *givenRollout(c.mods...), replicaSets: []appsv1.ReplicaSet{*givenSet("new", "7", "i", 1, 0)}}
		if wanted, actual := w.weights(); wanted != c.wanted || actual != c.actual {
			t.Errorf("%s: %d and %d, want %d and %d", name, wanted, actual, c.wanted, c.actual)
		}
	}
}

func TestRunsAreSortedByRevisionAgeAndNameBackwards(t *testing.T) {
	w := &world{rollout: *givenRollout()}
	for _, run := range []struct {
		name, revision string
		age            time.Duration
	}{{"a", "6", 2}, {"a", "7", 1}, {"b", "7", 1}, {"c", "7", 3}, {"d", "10", 1}, {"e", "seven", 9}} {
		w.runs = append(w.runs, *givenRun(run.name+run.revision, run.revision, "", run.age*time.Minute))
	}
	var got []string
	for _, run := range w.analyses() {
		got = append(got, run.Name)
	}
	if diff := cmp.Diff([]string{"d10", "c7", "b7", "a7", "a6", "eseven"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
