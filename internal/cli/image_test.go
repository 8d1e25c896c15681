package cli

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

func inShop(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: "shop", Name: name} }

func twoContainers(t *corev1.PodTemplateSpec) {
	t.Spec.InitContainers = []corev1.Container{{Name: "setup", Image: "setup:1"}}
	t.Spec.Containers = []corev1.Container{{Name: "web", Image: "web:1"}, {Name: "side", Image: "side:1"}}
}

func refersTo(apiVersion, kind string) func(*v1alpha1.Rollout) {
	return func(r *v1alpha1.Rollout) {
		r.Spec.WorkloadRef = &v1alpha1.ObjectRef{APIVersion: apiVersion, Kind: kind, Name: "work"}
	}
}

// images are those of a stored object, in order.
func (s *apiServer) images(end string, at ...string) string {
	s.t.Helper()
	for path, u := range s.objects {
		if !strings.HasSuffix(path, end) {
			continue
		}
		var all []string
		for _, field := range []string{"initContainers", "containers"} {
			list, _, err := unstructured.NestedSlice(u.Object, append(append([]string{}, at...), "spec", field)...)
			if err != nil {
				s.t.Fatal(err)
			}
			for _, c := range list {
				all = append(all, c.(map[string]any)["image"].(string))
			}
		}
		return strings.Join(all, " ")
	}
	s.t.Fatalf("there is no %s", end)
	return ""
}

func TestImagesAreSetWhereTheTemplateIs(t *testing.T) {
	own := givenRollout(func(r *v1alpha1.Rollout) { twoContainers(&r.Spec.Template) })
	deployment, set, template := &appsv1.Deployment{ObjectMeta: inShop("work")}, &appsv1.ReplicaSet{ObjectMeta: inShop("work")}, &corev1.PodTemplate{ObjectMeta: inShop("work")}
	twoContainers(&deployment.Spec.Template)
	twoContainers(&set.Spec.Template)
	twoContainers(&template.Template)
	inSpec, inPod := []string{"spec", "template"}, []string{"template"}
	for name, c := range map[string]struct {
		args    string
		objects []client.Object
		end     string
		at      []string
		want    string
		out     string
	}{
		"one":           {"set image web web=web:2", []client.Object{own}, "/rollouts/web", inSpec, "setup:1 web:2 side:1", "rollout \"web\" image updated\n"},
		"several":       {"set image web web=web:2 setup=setup:2", []client.Object{own}, "/rollouts/web", inSpec, "setup:2 web:2 side:1", "rollout \"web\" image updated\n"},
		"all":           {"set image web *=one:2", []client.Object{own}, "/rollouts/web", inSpec, "one:2 one:2 one:2", "rollout \"web\" image updated\n"},
		"a Deployment":  {"set image web web=web:2", []client.Object{givenRollout(refersTo("apps/v1", "Deployment")), deployment}, "/deployments/work", inSpec, "setup:1 web:2 side:1", "deployment \"work\" image updated\n"},
		"a ReplicaSet":  {"set image web web=web:2", []client.Object{givenRollout(refersTo("apps/v1", "ReplicaSet")), set}, "/replicasets/work", inSpec, "setup:1 web:2 side:1", "replicaset \"work\" image updated\n"},
		"a PodTemplate": {"set image web web=web:2", []client.Object{givenRollout(refersTo("v1", "PodTemplate")), template}, "/podtemplates/work", inPod, "setup:1 web:2 side:1", "podtemplate \"work\" image updated\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, c.objects...)
			s.late = 3
			if got := s.call(t.Context(), strings.Fields(c.args)...); got != (outcomes{0, c.out, ""}) {
				t.Errorf("%+v", got)
			}
			if got := s.images(c.end, c.at...); got != c.want || len(s.seen) != 4 {
				t.Errorf("images %q after %d requests, want %q after the fourth", got, len(s.seen), c.want)
			}
		})
	}
}

func TestImagesThatCannotBeSet(t *testing.T) {
	own := givenRollout(func(r *v1alpha1.Rollout) { twoContainers(&r.Spec.Template) })
	for name, c := range map[string]struct {
		args    string
		objects []client.Object
		late    int
		want    string
	}{
		"no such container":             {"set image web api=1", []client.Object{own}, 0, `unable to find container named "api"`},
		"no such container, beside one": {"set image web web=2 api=1", []client.Object{own}, 0, `unable to find container named "api"`},
		"no image":                      {"set image web web", []client.Object{own}, 0, `want CONTAINER=IMAGE, got "web"`},
		"two signs":                     {"set image web web=a=b", []client.Object{own}, 0, `want CONTAINER=IMAGE, got "web=a=b"`},
		"no such rollout":               {"set image other web=2", []client.Object{own}, 0, `rollout.argoproj.io "other" not found`},
		"somebody is always faster":     {"set image web web=2", []client.Object{own}, 99, "somebody else changed it each time, try again: "},
		"another kind of workload":      {"set image web web=2", []client.Object{givenRollout(refersTo("apps/v1", "StatefulSet"))}, 0, "workload of type StatefulSet is not supported"},
		"a workload that is gone":       {"set image web web=2", []client.Object{givenRollout(refersTo("apps/v1", "Deployment"))}, 0, "not found"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, c.objects...)
			s.late = c.late
			got := s.call(t.Context(), strings.Fields(c.args)...)
			if got.code != 1 || got.out != "" || !strings.Contains(got.err, c.want) {
				t.Errorf("%+v, want %q", got, c.want)
			}
			if c.late == 0 && len(s.seen) > 0 {
				t.Errorf("sent %v", s.seen)
			}
		})
	}
}
