package cli

import (
	"encoding/json"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// with gives the Rollout a template like that of the new revision in twoSets.
func with(image string) func(*v1alpha1.Rollout) {
	return func(r *v1alpha1.Rollout) {
		r.Spec.Template.Labels = map[string]string{"app": "web"}
		r.Spec.Template.Spec.Containers = []corev1.Container{{Name: "web", Image: image, Args: []string{"--a", "--b"}}}
	}
}

// Covers: defect 36, defect 39.
func TestUndoGoesBackToWhatSomebodyWrote(t *testing.T) {
	newer := func(t *corev1.PodTemplateSpec) { t.Spec.Containers[0].Image = "web:1.3" }
	for name, c := range map[string]struct {
		args  string
		ro    *v1alpha1.Rollout
		extra []client.Object
		path  string // of the patch
		in    string // what is patched
		out   string
	}{
		"the one before":          {"undo web", givenRollout(with("web:1.3")), nil, "/spec/template", "/rollouts/web", "rollout 'web' undo\n"},
		"a named one":             {"undo web --to-revision 3", givenRollout(with("web:1.3")), nil, "/spec/template", "/rollouts/web", "rollout 'web' undo\n"},
		"what it has already":     {"undo web --to-revision 3", givenRollout(with("web:1.2")), nil, "", "", "skipped rollback (current template already matches revision 3)"},
		"what it has, by default": {"undo web", givenRollout(with("web:1.2")), nil, "", "", "skipped rollback (current template already matches revision 0)"},
		"an annotation is another template": {"undo web", givenRollout(with("web:1.2"), func(r *v1alpha1.Rollout) { r.Spec.Template.Annotations = map[string]string{"a": "b"} }), nil,
			"/spec/template", "/rollouts/web", "rollout 'web' undo\n"},
		"a Deployment":  {"undo web", givenRollout(refersTo("apps/v1", "Deployment")), []client.Object{&appsv1.Deployment{ObjectMeta: inShop("work")}}, "/spec/template", "/deployments/work", "rollout 'web' undo\n"},
		"a PodTemplate": {"undo web", givenRollout(refersTo("v1", "PodTemplate")), []client.Object{&corev1.PodTemplate{ObjectMeta: inShop("work")}}, "/template", "/podtemplates/work", "rollout 'web' undo\n"},
	} {
		t.Run(name, func(t *testing.T) {
			objects := append(twoSets(newer)[1:], c.ro)
			s := newServer(t, append(objects, c.extra...)...)
			got := s.call(t.Context(), strings.Fields(c.args)...)
			if got != (outcomes{0, c.out, ""}) {
				t.Errorf("%+v", got)
			}
			if c.path == "" {
				if len(s.seen) > 0 {
					t.Errorf("sent %v", s.seen)
				}
				return
			}
			request, body, _ := strings.Cut(s.seen[0], " application/json-patch+json ")
			var patch []struct {
				Op, Path string
				Value    corev1.PodTemplateSpec
			}
			if err := json.Unmarshal([]byte(body), &patch); err != nil || len(patch) != 1 || !strings.HasSuffix(request, c.in) {
				t.Fatalf("%v: %s", err, s.seen)
			}
			p := patch[0]
			if p.Op != "replace" || p.Path != c.path || p.Value.Spec.Containers[0].Image != "web:1.2" || len(p.Value.Labels) != 1 || p.Value.Spec.Affinity != nil {
				t.Errorf("%+v", p)
			}
		})
	}
}

func TestUndoWithoutARevision(t *testing.T) {
	s := newServer(t, twoSets(nil)...)
	if got := s.call(t.Context(), "undo", "web", "--to-revision", "9"); got.code != 1 || !strings.Contains(got.err, "unable to find specified revision 9 in history") {
		t.Errorf("%+v", got)
	}
	alone := newServer(t, givenRollout(), givenSet("new", "4", "web:1.2", 1, 0))
	if got := alone.call(t.Context(), "undo", "web"); got.code != 1 || !strings.Contains(got.err, `no revision found for rollout "web"`) {
		t.Errorf("%+v", got)
	}
	if got := newServer(t, givenRollout()).call(t.Context(), "undo", "web"); got.code != 1 || !strings.Contains(got.err, `no revision found for rollout "web"`) {
		t.Errorf("%+v", got)
	}
}
