package lint

import (
	"strconv"
	"strings"

	yamlnode "go.yaml.in/yaml/v3"
)

// line is the line of a field in the file, or of the nearest one around it that is there.
func (o *object) line(path string) int {
	n := o.node
	line := 1
	if n != nil {
		line = max(n.Line, 1)
	}
	for _, name := range segments(path) {
		inside := follow(n)
		if inside == nil {
			break
		}
		next, at := child(inside, name)
		if next == nil {
			break
		}
		n, line = next, at
	}
	return o.offset + line
}

// segments cuts a path such as spec.steps[0].args[a.b] into its names and indices.
func segments(path string) (all []string) {
	for path != "" {
		if rest, is := strings.CutPrefix(path, "["); is {
			key, after, _ := strings.Cut(rest, "]")
			all, path = append(all, key), after
			continue
		}
		path = strings.TrimPrefix(path, ".")
		i := strings.IndexAny(path, ".[")
		if i < 0 {
			return append(all, path)
		}
		if i > 0 {
			all = append(all, path[:i])
		}
		path = path[i:]
	}
	return all
}

// find goes down as far as it can.
func find(n *yamlnode.Node, path []string) *yamlnode.Node {
	for _, name := range path {
		inside := follow(n)
		if inside == nil {
			return n
		}
		next, _ := child(inside, name)
		if next == nil {
			return n
		}
		n = next
	}
	return n
}

// follow gives the node behind an alias.
func follow(n *yamlnode.Node) *yamlnode.Node {
	for range 10 {
		if n == nil || n.Kind != yamlnode.AliasNode {
			return n
		}
		n = n.Alias
	}
	return nil
}

// child gives an entry, and the line on which its name, or it itself, stands.
func child(n *yamlnode.Node, name string) (entry *yamlnode.Node, line int) {
	switch n.Kind {
	case yamlnode.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == name {
				return n.Content[i+1], n.Content[i].Line
			}
		}
	case yamlnode.SequenceNode:
		if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(n.Content) {
			return n.Content[i], n.Content[i].Line
		}
	}
	return nil, 0
}
