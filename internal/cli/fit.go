package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rivo/uniseg"
)

const (
	// shortest is what a shortened name keeps at least, and its end: what tells pods apart.
	shortest, nameEnd = 16, 8
	ellipsis          = "…"
)

// picture puts a head over a tree, as far as they fit.
func (st style) picture(head string, root node) string {
	lines := strings.Split(strings.TrimSuffix(head, "\n"), "\n")
	if st.columns > 0 {
		for i, l := range lines {
			lines[i] = fold(l, st.columns)
		}
		lines = strings.Split(strings.Join(lines, "\n"), "\n")
	}
	if room := st.lines - len(lines) - 3; st.lines > 0 && root.size() > room {
		root.calmDown()
	}
	text := strings.Join(lines, "\n") + "\n\n" + st.table(root)
	if all := strings.Split(text, "\n"); st.lines > 0 && len(all) > st.lines {
		more := fmt.Sprintf("%s %d lines more", ellipsis, len(all)-st.lines+1)
		return strings.Join(append(all[:max(1, st.lines-2)], more, ""), "\n")
	}
	return text
}

// table lays the tree out. Where it is too wide, it goes without the kinds, which the icons
// say too, then without the ages, and then shortens names.
func (st style) table(root node) string {
	shown := []bool{true, true, true, true, true, st.wide, st.wide}
	all := appendRows([][]string{{"NAME", "KIND", "STATUS", "AGE", "INFO", "NODE", "IMAGES"}}, root, "", "")
	for _, column := range []int{1, 3} {
		if st.columns > 0 && widest(pick(all, shown)) > st.columns {
			shown[column] = false
		}
	}
	rows := pick(all, shown)
	if over := widest(rows) - st.columns; st.columns > 0 && over > 0 {
		names := 0
		for _, r := range rows {
			names = max(names, width(r[0]))
		}
		for _, r := range rows {
			r[0] = shorten(r[0], max(shortest, names-over))
		}
	}
	var b strings.Builder
	writeTable(&b, rows)
	if st.columns == 0 {
		return b.String()
	}
	lines := strings.Split(b.String(), "\n")
	for i, l := range lines {
		lines[i] = cut(l, st.columns)
	}
	return strings.Join(lines, "\n")
}

func pick(all [][]string, shown []bool) [][]string {
	rows := make([][]string, len(all))
	for i, r := range all {
		for j, cell := range r {
			if shown[j] {
				rows[i] = append(rows[i], cell)
			}
		}
	}
	return rows
}

// widest is the width of the widest line that a table has.
func widest(rows [][]string) int {
	var b strings.Builder
	writeTable(&b, rows)
	most := 0
	for l := range strings.Lines(b.String()) {
		most = max(most, width(strings.TrimSuffix(l, "\n")))
	}
	return most
}

// appendRows lays the tree out depth first; first leads to the node's own line and rest
// to those below it.
func appendRows(rows [][]string, n node, first, rest string) [][]string {
	c := n.columns
	rows = append(rows, []string{first + n.name, c.kind, c.status, c.age, c.info, c.node, c.images})
	for i, child := range n.below {
		branch, further := "├──", "│  "
		if i == len(n.below)-1 {
			branch, further = "└──", "   "
		}
		rows = appendRows(rows, child, rest+branch, rest+further)
	}
	return rows
}

// size is how many lines a tree takes.
func (n *node) size() int {
	lines := 1
	for i := range n.below {
		lines += n.below[i].size()
	}
	return lines
}

// calmDown puts what nobody misses into one line for each parent.
func (n *node) calmDown() {
	quiet, last := 0, node{}
	for _, c := range n.below {
		if c.calm {
			quiet++
			last = c
		}
	}
	if quiet > 1 {
		n.below = slices.DeleteFunc(n.below, func(c node) bool { return c.calm })
		last.name = fmt.Sprintf("□ %d pods", quiet)
		last.columns.age, last.columns.info, last.columns.node = "", "ready", ""
		n.below = append(n.below, last)
	}
	for i := range n.below {
		n.below[i].calmDown()
	}
}

// width is how many cells of a terminal a text takes, colours aside.
func width(painted string) int { return uniseg.StringWidth(escape.ReplaceAllString(painted, "")) }

// shorten takes from a name's middle, so that its beginning and its end stay.
func shorten(name string, to int) string {
	if width(name) <= to {
		return name
	}
	runes := []rune(name)
	end := min(nameEnd, to/2)
	head := runes[:len(runes)-end]
	for len(head) > 0 && width(string(head)) > to-end-1 {
		head = head[:len(head)-1]
	}
	return string(head) + ellipsis + string(runes[len(runes)-end:])
}

// cut ends a line where the terminal does, and its colours with it.
func cut(painted string, to int) string {
	if width(painted) <= to {
		return painted
	}
	var b strings.Builder
	used, coloured := 0, false
	for rest := painted; rest != ""; {
		if at := escape.FindStringIndex(rest); at != nil && at[0] == 0 {
			coloured = rest[:at[1]] != plain
			b.WriteString(rest[:at[1]])
			rest = rest[at[1]:]
			continue
		}
		cluster, after, cells, _ := uniseg.FirstGraphemeClusterInString(rest, -1)
		if used += cells; used > to-1 {
			break
		}
		b.WriteString(cluster)
		rest = after
	}
	if coloured {
		b.WriteString(plain)
	}
	return b.String() + ellipsis
}

// fold breaks a line of the head at its blanks; what follows starts below the value.
func fold(line string, to int) string {
	if width(line) <= to || to < 2*labelWidth {
		return line
	}
	label, value := line[:labelWidth], line[labelWidth:]
	var lines []string
	current := ""
	for _, word := range strings.Fields(value) {
		if current != "" && labelWidth+width(current)+1+width(word) > to {
			lines, current = append(lines, current), ""
		}
		current = strings.TrimPrefix(current+" "+word, " ")
	}
	return label + strings.Join(append(lines, current), "\n"+strings.Repeat(" ", labelWidth))
}
