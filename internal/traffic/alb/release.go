package alb

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
)

// classKey is how Ingresses named their class before ingressClassName.
const classKey = "kubernetes.io/ingress.class"

// Signed is the kind whose objects name their rollouts in the bookkeeping annotation.
func (Options) Signed() schema.GroupVersionKind { return ingress }

// Owners are the rollouts that an Ingress of our classes names in its books; none where
// these cannot be read.
func (o Options) Owners(object map[string]any) []string {
	classes := o.Classes
	if len(classes) == 0 {
		classes = []string{"alb"}
	}
	meta, _ := object["metadata"].(map[string]any)
	notes, _ := meta["annotations"].(map[string]any)
	spec, _ := object["spec"].(map[string]any)
	class, named := spec["ingressClassName"].(string)
	if !named {
		class, named = notes[classKey].(string)
	}
	if named && !slices.Contains(classes, class) {
		return nil
	}
	now, problem := readBook(notes, bookKey)
	former, wrong := readBook(notes, formerKey)
	if problem != "" || wrong != "" {
		return nil
	}
	names := slices.Collect(maps.Keys(now))
	names = slices.AppendSeq(names, maps.Keys(former))
	slices.Sort(names)
	return slices.Compact(names)
}

// Release takes off an Ingress what a rollout has put there that is gone or has let go of it,
// in place; the action sends everything to its own Service.
func Release(object map[string]any, owner string) {
	meta, _ := object["metadata"].(map[string]any)
	namespace, _ := meta["namespace"].(string)
	d := desk{Target: traffic.Target{Namespace: namespace, Name: owner, Routing: &v1alpha1.RolloutTrafficRouting{}},
		section: &v1alpha1.ALBTrafficRouting{}, prefix: v1alpha1.DefaultALBAnnotationPrefix}
	if h, problem := d.hold("", object); problem == "" {
		h.finish(d, nil, nil, nil)
	}
}
