package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"gomodules.xyz/jsonpatch/v2"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

func (s *session) diff() *cobra.Command {
	var from, to int64
	var output string
	c := &cobra.Command{
		Use: "diff ROLLOUT_NAME", Short: "Show what the new pod template changes: canary against stable, preview against active",
		Args: exactly(1), ValidArgsFunction: s.complete,
		RunE: func(c *cobra.Command, args []string) error {
			if output != "" && output != "json" {
				return &usageError{c, fmt.Sprintf("--output: want json, got %q", output)}
			}
			cl, err := s.connect()
			if err != nil {
				return err
			}
			w, err := s.about(c.Context(), cl, args[0], aReplicaSet)
			if err != nil {
				return err
			}
			old, now, err := w.sides(from, to)
			if err != nil {
				return err
			}
			d, err := compare(old, now)
			if err != nil {
				return err
			}
			if output == "json" {
				return s.print(d.json + "\n")
			}
			return s.print(d.text(s.colour()))
		},
	}
	c.Flags().Int64Var(&from, "from", 0, "the revision that is the old one; 0 means stable (blue-green: active)")
	c.Flags().Int64Var(&to, "to", 0, "the revision that is the new one; 0 means the newest")
	c.Flags().StringVarP(&output, "output", "o", "", "json for a JSON patch (RFC 6902), or nothing for text")
	return c
}

// sides are the ReplicaSets to compare.
func (w *world) sides(from, to int64) (old, now *appsv1.ReplicaSet, err error) {
	find := func(number int64, hash, what string) (*appsv1.ReplicaSet, error) {
		for _, rs := range w.sets() {
			if number > 0 && revisionOf(rs) == number || number == 0 && hash != "" && rs.Labels[v1alpha1.PodTemplateHashLabel] == hash {
				return rs, nil
			}
		}
		if number > 0 {
			return nil, fmt.Errorf("unable to find specified revision %d in history", number)
		}
		return nil, fmt.Errorf("rollout %q has no %s revision yet", w.rollout.Name, what)
	}
	if old, err = find(from, w.rollout.Status.StableRS, "stable"); err != nil {
		return nil, nil, err
	}
	now, err = find(to, w.rollout.Status.CurrentPodHash, "new")
	return old, now, err
}

// difference is what one revision's template changes of another's.
type difference struct {
	from, to int64
	old, now any // the templates as decoded JSON
	changes  []jsonpatch.Operation
	json     string // the changes as a JSON patch
}

func compare(old, now *appsv1.ReplicaSet) (d difference, err error) {
	d = difference{from: revisionOf(old), to: revisionOf(now)}
	a, err := json.Marshal(written(old))
	if err != nil {
		return d, err
	}
	b, err := json.Marshal(written(now))
	if err != nil {
		return d, err
	}
	if d.changes, err = jsonpatch.CreatePatch(a, b); err != nil {
		return d, fmt.Errorf("compare revisions %d and %d: %w", d.from, d.to, err)
	}
	slices.SortStableFunc(d.changes, func(x, y jsonpatch.Operation) int { return strings.Compare(x.Path, y.Path) })
	text, err := json.MarshalIndent(append([]jsonpatch.Operation{}, d.changes...), "", "  ")
	if err != nil {
		return d, err
	}
	d.json = string(text)
	if err := json.Unmarshal(a, &d.old); err != nil {
		return d, err
	}
	return d, json.Unmarshal(b, &d.now)
}

// written is the template as somebody wrote it: without the hash label, the metadata of roles
// and the anti-affinity that the controller adds.
func written(rs *appsv1.ReplicaSet) corev1.PodTemplateSpec {
	t := *rs.Spec.Template.DeepCopy()
	t.CreationTimestamp.Reset()
	delete(t.Labels, v1alpha1.PodTemplateHashLabel)
	var added v1alpha1.PodTemplateMetadata
	if json.Unmarshal([]byte(rs.Annotations[v1alpha1.EphemeralMetadataAnnotation]), &added) == nil {
		for k, v := range added.Labels {
			if t.Labels[k] == v {
				delete(t.Labels, k)
			}
		}
		for k, v := range added.Annotations {
			if t.Annotations[k] == v {
				delete(t.Annotations, k)
			}
		}
	}
	if len(t.Annotations) == 0 {
		t.Annotations = nil
	}
	if a := t.Spec.Affinity; a != nil && a.PodAntiAffinity != nil {
		ours := func(term corev1.PodAffinityTerm) bool {
			return term.LabelSelector != nil && slices.ContainsFunc(term.LabelSelector.MatchExpressions, func(e metav1.LabelSelectorRequirement) bool {
				return e.Key == v1alpha1.PodTemplateHashLabel
			})
		}
		p := a.PodAntiAffinity
		p.RequiredDuringSchedulingIgnoredDuringExecution = slices.DeleteFunc(p.RequiredDuringSchedulingIgnoredDuringExecution, ours)
		p.PreferredDuringSchedulingIgnoredDuringExecution = slices.DeleteFunc(p.PreferredDuringSchedulingIgnoredDuringExecution,
			func(w corev1.WeightedPodAffinityTerm) bool { return ours(w.PodAffinityTerm) })
		if len(p.RequiredDuringSchedulingIgnoredDuringExecution)+len(p.PreferredDuringSchedulingIgnoredDuringExecution) == 0 {
			a.PodAntiAffinity = nil
		}
		if a.NodeAffinity == nil && a.PodAffinity == nil && a.PodAntiAffinity == nil {
			t.Spec.Affinity = nil
		}
	}
	return t
}

// text is the difference for people.
func (d difference) text(colour paint) string {
	if len(d.changes) == 0 {
		return fmt.Sprintf("Revisions %d and %d have the same pod template.\n", d.from, d.to)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Revision %d against %d\n", d.to, d.from)
	for _, c := range d.changes {
		was, is, path := d.change(c)
		fmt.Fprintf(&b, "\n%s\n", path)
		if c.Operation != "add" {
			fmt.Fprintln(&b, colour.with(red, "- "+short(was)))
		}
		if c.Operation != "remove" {
			fmt.Fprintln(&b, colour.with(green, "+ "+short(is)))
		}
	}
	return b.String()
}

// change is one of the changes: the values before and after, and where.
func (d difference) change(c jsonpatch.Operation) (was, is any, path string) {
	pieces := strings.Split(strings.TrimPrefix(c.Path, "/"), "/")
	was, before := follow(d.old, pieces)
	is, after := follow(d.now, pieces)
	if c.Operation == "add" {
		return was, is, after
	}
	return was, is, before
}

// parts names what is changed as a table can: web.image, web.env, labels; images first.
func (d difference) parts() (all []string) {
	rank := func(part string) int {
		if strings.HasSuffix(part, ".image") {
			return 0
		}
		return 1
	}
	for _, c := range d.changes {
		_, _, path := d.change(c)
		path = strings.TrimPrefix(strings.TrimPrefix(path, "spec."), "metadata.")
		list, of, _ := strings.Cut(path, "].")
		if section, name, is := strings.Cut(list, "["); is && of != "" && strings.HasSuffix(strings.ToLower(section), "containers") {
			of, _, _ = strings.Cut(of, ".")
			path = name + "." + of
		} else {
			path, _, _ = strings.Cut(path, ".")
		}
		path, _, _ = strings.Cut(path, "[")
		if !slices.Contains(all, path) {
			all = append(all, path)
		}
	}
	slices.SortStableFunc(all, func(a, b string) int {
		return rank(a) - rank(b)
	})
	return all
}

// follow goes the way of a JSON pointer, and names it as people do: containers[web].image.
func follow(v any, pieces []string) (at any, path string) {
	var b strings.Builder
	for _, p := range pieces {
		p = strings.NewReplacer("~1", "/", "~0", "~").Replace(p)
		switch t := v.(type) {
		case map[string]any:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(p)
			v = t[p]
		case []any:
			i, err := strconv.Atoi(p)
			if err != nil || i >= len(t) {
				fmt.Fprintf(&b, "[%s]", p)
				v = nil
				continue
			}
			v = t[i]
			name := p
			if m, is := v.(map[string]any); is {
				if n, is := m["name"].(string); is {
					name = n
				}
			}
			fmt.Fprintf(&b, "[%s]", name)
		default:
			fmt.Fprintf(&b, ".%s", p)
			v = nil
		}
	}
	return v, b.String()
}

// short is a value on one line.
func short(v any) string {
	if s, is := v.(string); is && s != "" && !strings.ContainsAny(s, "\n\"") {
		return s
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}
