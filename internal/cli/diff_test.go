package cli

import (
	"encoding/json"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// twoSets are stable and new revisions, of which the second differs by what change does.
func twoSets(change func(*corev1.PodTemplateSpec)) []client.Object {
	old, now := givenSet("old", "3", "web:1.2", 4, 0), givenSet("new", "4", "web:1.2", 1, 0)
	for _, rs := range []*appsv1.ReplicaSet{old, now} {
		t := &rs.Spec.Template
		hash := rs.Labels[v1alpha1.PodTemplateHashLabel]
		t.Labels = map[string]string{"app": "web", v1alpha1.PodTemplateHashLabel: hash, "role": hash}
		t.Spec.Containers[0].Args = []string{"--a", "--b"}
		rs.Annotations[v1alpha1.EphemeralMetadataAnnotation] = `{"labels":{"role":"` + hash + `"}}`
		t.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
			LabelSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: v1alpha1.PodTemplateHashLabel, Operator: "In", Values: []string{hash}}}}}}}}
	}
	if change != nil {
		change(&now.Spec.Template)
	}
	return []client.Object{givenRollout(), old, now}
}

func TestDiffShowsWhatSomebodyChanged(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*corev1.PodTemplateSpec)
		want   string
	}{
		"what the controller adds is no change": {nil, "Revisions 3 and 4 have the same pod template.\n"},
		"an image":                              {func(t *corev1.PodTemplateSpec) { t.Spec.Containers[0].Image = "web:1.3" }, "Revision 4 against 3\n\nspec.containers[web].image\n- web:1.2\n+ web:1.3\n"},
		"a label and a variable, by their places": {func(t *corev1.PodTemplateSpec) {
			t.Labels["app.kubernetes.io/part-of"] = "shop"
			t.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "MODE", Value: "fast"}}
		}, "Revision 4 against 3\n\nmetadata.labels.app.kubernetes.io/part-of\n+ shop\n\nspec.containers[web].env\n+ [{\"name\":\"MODE\",\"value\":\"fast\"}]\n"},
		"a container that goes": {func(t *corev1.PodTemplateSpec) { t.Spec.Containers[0].Args = []string{"--a"} }, "Revision 4 against 3\n\nspec.containers[web].args[1]\n- --b\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got := newServer(t, twoSets(c.change)...).call(t.Context(), "diff", "web")
			if got.code != 0 {
				t.Fatalf("%+v", got)
			}
			mustEqual(t, "the difference", got.out, c.want)
		})
	}
}

func TestDiffForPrograms(t *testing.T) {
	s := newServer(t, twoSets(func(t *corev1.PodTemplateSpec) { t.Spec.Containers[0].Image = "web:1.3" })...)
	var patch []map[string]any
	got := s.call(t.Context(), "diff", "web", "-o", "json")
	if err := json.Unmarshal([]byte(got.out), &patch); err != nil || len(patch) != 1 || patch[0]["path"] != "/spec/containers/0/image" || patch[0]["value"] != "web:1.3" {
		t.Errorf("%v: %+v", err, got)
	}
	if got := newServer(t, twoSets(nil)...).call(t.Context(), "diff", "web", "-o", "json"); got.out != "[]\n" {
		t.Errorf("without a difference: %+v", got)
	}
	for args, want := range map[string]string{
		"diff web --from 4 --to 3": "- web:1.3\n+ web:1.2\n",
	} {
		if got := s.call(t.Context(), strings.Fields(args)...); !strings.HasSuffix(got.out, want) {
			t.Errorf("%s: %+v", args, got)
		}
	}
	for args, want := range map[string]string{
		"diff web --from 9": "unable to find specified revision 9 in history",
		"diff web -o yaml":  `--output: want json, got "yaml"`,
	} {
		if got := s.call(t.Context(), strings.Fields(args)...); got.code != 1 || !strings.Contains(got.err, want) {
			t.Errorf("%s: %+v", args, got)
		}
	}
	if got := newServer(t, givenRollout()).call(t.Context(), "diff", "web"); got.code != 1 || !strings.Contains(got.err, `rollout "web" has no stable revision yet`) {
		t.Errorf("without ReplicaSets: %+v", got)
	}
}
