package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// labelWidth is the column at which the values of the head start.
const labelWidth = 17

// style is how a picture is drawn.
type style struct {
	colour paint
	wide   bool
	// columns and lines are the size of the terminal that it must fit into; 0 for any.
	columns, lines int
}

// render is the whole of `get rollout`: the head, an empty line, the tree.
func render(w *world, st style) string {
	var head strings.Builder
	w.head(&head, st.colour)
	return st.picture(head.String(), w.tree(st.colour))
}

// renderExperiment is the whole of `get experiment`.
func renderExperiment(w *world, st style) string {
	trials := w.trials()
	if len(trials) == 0 {
		return ""
	}
	x, p := trials[0], st.colour
	var head strings.Builder
	field := headOf(&head)
	field("Name:", x.Name)
	field("Namespace:", x.Namespace)
	field("Status:", p.status(analysisIcon(x.Status.Phase), string(x.Status.Phase)))
	if x.Status.Message != "" {
		field("Message:", x.Status.Message)
	}
	roles := map[string][]string{}
	w.imagesOf(x, "", roles)
	several(field, "Images:", imageLines(roles, p))
	return st.picture(head.String(), w.trialNode(x, p))
}

// headOf writes lines of a head: a label and its value.
func headOf(b *strings.Builder) func(label string, value any) {
	return func(label string, value any) {
		text := fmt.Sprint(value)
		if text == "" {
			fmt.Fprintln(b, label)
			return
		}
		fmt.Fprintln(b, pad(label, labelWidth)+text)
	}
}

// several writes values below each other.
func several(field func(string, any), label string, values []string) {
	for _, v := range values {
		field(label, v)
		label = ""
	}
}

func (w *world) head(b *strings.Builder, p paint) {
	field := headOf(b)
	r, now := &w.rollout, observed(&w.rollout)
	field("Name:", r.Name)
	field("Namespace:", r.Namespace)
	field("Status:", p.status(rolloutIcon(now.phase), string(now.phase)))
	if now.message != "" {
		field("Message:", now.message)
	}
	switch {
	case r.Spec.Strategy.Canary != nil:
		wanted, actual := w.weights()
		field("Strategy:", "Canary")
		field("  Step:", w.step())
		field("  SetWeight:", wanted)
		field("  ActualWeight:", actual)
	case r.Spec.Strategy.BlueGreen != nil:
		field("Strategy:", "BlueGreen")
	}
	several(field, "Images:", w.images(p))
	field("Replicas:", "")
	field("  Desired:", r.Spec.ReplicasOrDefault())
	field("  Current:", r.Status.Replicas)
	field("  Updated:", r.Status.UpdatedReplicas)
	field("  Ready:", r.Status.ReadyReplicas)
	field("  Available:", r.Status.AvailableReplicas)
}

func (w *world) step() string {
	steps, index := w.rollout.Spec.Strategy.Canary.Steps, w.rollout.Status.CurrentStepIndex
	if len(steps) == 0 || index == nil {
		return ""
	}
	return fmt.Sprintf("%d/%d", *index, len(steps))
}

// images are those that pods run, with the roles that use them: "web:2 (canary)".
func (w *world) images(p paint) []string {
	roles := map[string][]string{}
	for _, rs := range w.sets() {
		if rs.Status.Replicas > 0 {
			use(roles, rs, w.roles(rs)...)
		}
	}
	for _, x := range w.trials() {
		w.imagesOf(x, "Σ:", roles)
	}
	return imageLines(roles, p)
}

// imagesOf adds an Experiment's, used by templates with this mark before their names.
func (w *world) imagesOf(x *v1alpha1.Experiment, mark string, roles map[string][]string) {
	for _, rs := range w.setsOf(x) {
		if rs.Status.Replicas > 0 {
			use(roles, rs, mark+rs.Annotations[v1alpha1.ExperimentTemplateNameAnnotation])
		}
	}
}

func use(roles map[string][]string, rs *appsv1.ReplicaSet, by ...string) {
	for _, c := range rs.Spec.Template.Spec.Containers {
		roles[c.Image] = append(roles[c.Image], by...)
	}
}

func imageLines(roles map[string][]string, p paint) (lines []string) {
	for _, image := range slices.Sorted(maps.Keys(roles)) {
		slices.Sort(roles[image])
		line := image
		if used := slices.Compact(roles[image]); len(used) > 0 {
			line += " (" + p.roles(used, ", ") + ")"
		}
		lines = append(lines, line)
	}
	return lines
}

// writeTable aligns the columns with two spaces between them and none at a line's end.
func writeTable(b *strings.Builder, rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], width(cell))
		}
	}
	for _, row := range rows {
		line := ""
		for i, cell := range row {
			line += pad(cell, widths[i]+2)
		}
		fmt.Fprintln(b, strings.TrimRight(line, " "))
	}
}
