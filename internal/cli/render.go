package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// labelWidth is the column at which the values of the head start.
const labelWidth = 17

// render is the whole of `get rollout`: the head, an empty line, the tree.
func render(w *world, p paint) string {
	var b strings.Builder
	w.head(&b, p)
	b.WriteByte('\n')
	rows := [][]string{{"NAME", "KIND", "STATUS", "AGE", "INFO"}}
	rows = appendRows(rows, w.tree(p), "", "")
	writeTable(&b, rows)
	return b.String()
}

func (w *world) head(b *strings.Builder, p paint) {
	field := func(label string, value any) {
		text := fmt.Sprint(value)
		if text == "" {
			fmt.Fprintln(b, label)
			return
		}
		fmt.Fprintln(b, pad(label, labelWidth)+text)
	}
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
	label := "Images:"
	for _, image := range w.images(p) {
		field(label, image)
		label = ""
	}
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
func (w *world) images(p paint) (lines []string) {
	roles := map[string][]string{}
	for _, rs := range w.sets() {
		if rs.Status.Replicas == 0 {
			continue
		}
		for _, c := range rs.Spec.Template.Spec.Containers {
			roles[c.Image] = append(roles[c.Image], w.roles(rs)...)
		}
	}
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

// appendRows lays the tree out depth first; first leads to the node's own line and rest
// to those below it.
func appendRows(rows [][]string, n node, first, rest string) [][]string {
	rows = append(rows, append([]string{first + n.name}, n.columns[:]...))
	for i, child := range n.below {
		branch, further := "├──", "│  "
		if i == len(n.below)-1 {
			branch, further = "└──", "   "
		}
		rows = appendRows(rows, child, rest+branch, rest+further)
	}
	return rows
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
