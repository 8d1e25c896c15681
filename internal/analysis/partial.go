package analysis

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"

	"github.com/penstock-io/penstock/internal/metric"
)

// uses is what a condition takes of its result: parts by name, and the greatest constant
// index, -1 for none. It is how a message can say which series is missing.
type uses struct {
	names []string
	last  int
}

// Visit implements ast.Visitor; it changes nothing.
func (u *uses) Visit(n *ast.Node) {
	m, ok := (*n).(*ast.MemberNode)
	if !ok {
		return
	}
	if id, ok := m.Node.(*ast.IdentifierNode); !ok || id.Value != "result" {
		return
	}
	switch p := m.Property.(type) {
	case *ast.StringNode:
		if !slices.Contains(u.names, p.Value) {
			u.names = append(u.names, p.Value)
		}
	case *ast.IntegerNode:
		u.last = max(u.last, p.Value)
	}
}

// absent says which part of a named result a condition wants and the answer has not.
func absent(text string, value any) (why string) {
	series, ok := value.(metric.Series)
	if !ok {
		return ""
	}
	var missing []string
	for _, name := range compiled.of(text, false).uses.names {
		if v, there := series[name]; !there || v == nil {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return ""
	}
	return fmt.Sprintf("nothing was measured for %s (there is: %s)", strings.Join(missing, " and "), list(slices.Sorted(maps.Keys(series))))
}

// beyond says that a condition, which could not be evaluated, asks for more numbers than
// the answer has.
func beyond(text string, res metric.Result) (why string) {
	values, ok := res.Value.([]float64)
	if last := compiled.of(text, false).uses.last; ok && last >= len(values) {
		return fmt.Sprintf("result[%d] is missing: the answer has %d (%s)", last, len(values), list(res.Names))
	}
	return ""
}

// maxListed bounds what a message lists.
const maxListed = 5

func list(names []string) string {
	switch {
	case len(names) == 0:
		return "without names"
	case len(names) > maxListed:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxListed], ", "), len(names)-maxListed)
	}
	return strings.Join(names, ", ")
}
