package cli

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

func (s *session) undo() *cobra.Command {
	var to int64
	c := &cobra.Command{
		Use: "undo ROLLOUT_NAME", Short: "Go back to the pod template of an earlier revision",
		Args: exactly(1), ValidArgsFunction: s.complete,
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := s.connect()
			if err != nil {
				return err
			}
			w, err := s.about(c.Context(), cl, args[0], aReplicaSet)
			if err != nil {
				return err
			}
			rs, err := w.earlier(to)
			if err != nil {
				return err
			}
			target, at, err := cl.templated(c.Context(), args[0])
			if err != nil {
				return err
			}
			back, same, err := template(rs, target, at)
			if err != nil {
				return err
			}
			if same {
				return s.print(fmt.Sprintf("skipped rollback (current template already matches revision %d)", to))
			}
			patch, err := json.Marshal([]map[string]any{{"op": "replace", "path": "/" + strings.Join(at, "/"), "value": back}})
			if err != nil {
				return err
			}
			if err := cl.Patch(c.Context(), target, client.RawPatch(types.JSONPatchType, patch)); err != nil {
				return err
			}
			return s.print(fmt.Sprintf("rollout '%s' undo\n", args[0]))
		},
	}
	c.Flags().Int64Var(&to, "to-revision", 0, "the revision to go back to; 0 means the one before the newest")
	return c
}

// earlier is the ReplicaSet of a revision, or of the one before the newest.
func (w *world) earlier(to int64) (*appsv1.ReplicaSet, error) {
	sets := w.sets()
	if to > 0 {
		for _, rs := range sets {
			if revisionOf(rs) == to {
				return rs, nil
			}
		}
		return nil, fmt.Errorf("unable to find specified revision %d in history", to)
	}
	for _, rs := range sets {
		if revisionOf(rs) < revisionOf(sets[0]) {
			return rs, nil
		}
	}
	return nil, fmt.Errorf("no revision found for rollout %q", w.rollout.Name)
}

// template is what was written for a ReplicaSet, and whether it is what the object has now:
// fields that the API server filled in do not count.
func template(rs *appsv1.ReplicaSet, object *unstructured.Unstructured, at []string) (back map[string]any, same bool, err error) {
	text, err := json.Marshal(written(rs))
	if err != nil {
		return nil, false, err
	}
	if err := json.Unmarshal(text, &back); err != nil {
		return nil, false, err
	}
	now, _, err := unstructured.NestedMap(object.Object, at...)
	if err != nil {
		return nil, false, fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
	}
	unstructured.RemoveNestedField(now, "metadata", "labels", v1alpha1.PodTemplateHashLabel)
	return back, includes(back, now), nil
}

// includes reports whether a JSON value has everything that another has. Lists have to be of one
// length, and labels, annotations and node selectors alike.
func includes(have, want any) bool {
	switch w := want.(type) {
	case nil:
		return true
	case map[string]any:
		h, is := have.(map[string]any)
		if !is {
			return len(w) == 0
		}
		for k, v := range w {
			if !includes(h[k], v) {
				return false
			}
		}
		for _, k := range []string{"labels", "annotations", "nodeSelector"} {
			if size(h[k]) != size(w[k]) {
				return false
			}
		}
		return true
	case []any:
		h, is := have.([]any)
		if !is || len(h) != len(w) {
			return len(w) == 0 && have == nil
		}
		for i := range w {
			if !includes(h[i], w[i]) {
				return false
			}
		}
		return true
	}
	return fmt.Sprint(have) == fmt.Sprint(want)
}

func size(v any) int {
	m, _ := v.(map[string]any)
	return len(m)
}
