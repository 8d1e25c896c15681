package v1alpha1_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// Covers: edge 136.
func TestResolvedTemplateAndSelectorAreNeverWritten(t *testing.T) {
	full := v1alpha1.RolloutSpec{
		Selector:    &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
		Template:    corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "web"}}}},
		WorkloadRef: &v1alpha1.ObjectRef{Kind: "Deployment", Name: "web"},
	}
	empty := v1alpha1.RolloutSpec{Paused: true}
	emptyList := v1alpha1.RolloutSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{}}}}
	tests := map[string]struct {
		spec             v1alpha1.RolloutSpec
		noTemplate       bool
		noSelector       bool
		templateSelector [2]bool
	}{
		"both are the user's own":                     {full, false, false, [2]bool{true, true}},
		"the template came from the workload":         {full, true, false, [2]bool{false, true}},
		"the selector came from the workload":         {full, false, true, [2]bool{true, false}},
		"both came from the workload":                 {full, true, true, [2]bool{false, false}},
		"an empty template would be null containers":  {empty, false, false, [2]bool{false, false}},
		"an empty container list is the user's words": {emptyList, false, false, [2]bool{true, false}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.spec.TemplateResolvedFromRef, test.spec.SelectorResolvedFromRef = test.noTemplate, test.noSelector
			before := test.spec.DeepCopy()
			fields := decode[map[string]any](t, encode(t, v1alpha1.Rollout{Spec: test.spec}))["spec"].(map[string]any)
			_, template := fields["template"]
			_, selector := fields["selector"]
			if got := [2]bool{template, selector}; got != test.templateSelector {
				t.Errorf("template, selector written: %v, want %v", got, test.templateSelector)
			}
			if _, ok := fields["workloadRef"]; ok != (test.spec.WorkloadRef != nil) {
				t.Error("the workloadRef was dropped or made up")
			}
			if diff := cmp.Diff(before, &test.spec); diff != "" {
				t.Errorf("encoding changed its input (-before +after):\n%s", diff)
			}
		})
	}
}

func TestEmptyStatusIsReadBackAsWritten(t *testing.T) {
	index, verified := int32(0), false
	rollout := v1alpha1.Rollout{Status: v1alpha1.RolloutStatus{
		CurrentStepIndex: &index,
		Canary: v1alpha1.CanaryStatus{
			Weights:            &v1alpha1.TrafficWeights{Verified: &verified},
			StepPluginStatuses: []v1alpha1.StepPluginStatus{{Status: json.RawMessage(`{"a":[1,2]}`)}},
		},
	}}
	again := decode[v1alpha1.Rollout](t, encode(t, rollout))
	if diff := cmp.Diff(rollout, again); diff != "" {
		t.Errorf("a zero that means something was lost (-want +got):\n%s", diff)
	}
}

// Plugins built against the published Go types see Go names through gob; the structs below stand for such a plugin.
func TestGobPluginsFindThePublishedGoNames(t *testing.T) {
	type step struct {
		SetWeight      *int32
		SetHeaderRoute *struct{ Name string }
		Plugin         *struct {
			Name   string
			Config json.RawMessage
		}
	}
	type rollout struct {
		ObjectMeta metav1.ObjectMeta
		Spec       struct {
			TemplateResolvedFromRef bool
			Replicas                *int32
			Template                corev1.PodTemplateSpec
			Strategy                struct {
				Canary *struct {
					CanaryService  string
					StableService  string
					Steps          []step
					TrafficRouting *struct {
						Plugins       map[string]json.RawMessage
						ManagedRoutes []struct{ Name string }
						ALB           *struct{ ServicePort int32 }
					}
				}
			}
		}
		Status struct {
			StableRS, CurrentPodHash string
			Canary                   struct {
				Weights *struct{ Canary struct{ Weight int32 } }
			}
		}
	}
	const manifest = `{"metadata":{"name":"web"},"spec":{"replicas":3,"template":{"spec":{"containers":[{"name":"c"}]}},` +
		`"strategy":{"canary":{"canaryService":"c","stableService":"s","steps":[{"setWeight":5},` +
		`{"setHeaderRoute":{"name":"h"}},{"plugin":{"name":"p","config":{"a":1}}}],"trafficRouting":` +
		`{"plugins":{"x/y":{"b":2}},"managedRoutes":[{"name":"h"}],"alb":{"servicePort":80}}}}},` +
		`"status":{"stableRS":"aa","currentPodHash":"bb","canary":{"weights":{"canary":{"weight":7},"stable":{"weight":93}}}}}`
	sent := decode[v1alpha1.Rollout](t, manifest)
	sent.Spec.TemplateResolvedFromRef = true
	var wire bytes.Buffer
	if err := gob.NewEncoder(&wire).Encode(sent); err != nil {
		t.Fatal(err)
	}
	var got rollout
	if err := gob.NewDecoder(&wire).Decode(&got); err != nil {
		t.Fatal(err)
	}
	canary := got.Spec.Strategy.Canary
	if canary == nil || len(canary.Steps) != 3 || canary.TrafficRouting == nil || got.Status.Canary.Weights == nil {
		t.Fatalf("got %s, want the canary strategy and its weights", encode(t, got))
	}
	seen := []any{
		got.ObjectMeta.Name, got.Spec.TemplateResolvedFromRef, *got.Spec.Replicas, got.Spec.Template.Spec.Containers[0].Name,
		canary.CanaryService, canary.StableService, *canary.Steps[0].SetWeight, canary.Steps[1].SetHeaderRoute.Name,
		canary.Steps[2].Plugin.Name, string(canary.Steps[2].Plugin.Config), string(canary.TrafficRouting.Plugins["x/y"]),
		canary.TrafficRouting.ManagedRoutes[0].Name, canary.TrafficRouting.ALB.ServicePort,
		got.Status.StableRS, got.Status.CurrentPodHash, got.Status.Canary.Weights.Canary.Weight,
	}
	want := []any{
		"web", true, int32(3), "c", "c", "s", int32(5), "h", "p", `{"a":1}`, `{"b":2}`, "h", int32(80), "aa", "bb", int32(7),
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("a plugin sees other values (-want +got):\n%s", diff)
	}
}

func TestSchemeKnowsEveryKindAndItsList(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"Rollout", "Experiment", "AnalysisRun", "AnalysisTemplate", "ClusterAnalysisTemplate"} {
		for _, name := range []string{kind, kind + "List"} {
			if !scheme.Recognizes(v1alpha1.GroupVersion.WithKind(name)) {
				t.Errorf("the scheme does not know %s", name)
			}
		}
	}
}
