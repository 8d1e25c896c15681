package analysis

import (
	"errors"
	"math"
	"reflect"
	"time"

	"github.com/expr-lang/expr/ast"
)

// form is how data can be missing. A measurement without data is judged by the
// metric's noData policy, with one exception, for manifests that were written with
// care: when the metric sets no policy and its conditions test for exactly this form
// themselves, as in `len(result) == 0 || result[0] >= 0.95`, they decide.
//
// Such a condition is then run in a strict way: every use of the missing data outside
// a test is an error, and an error hands the measurement back to the policy. So
// all(), none(), sum() and mean() over nothing, and comparisons with NaN, never pass.
//
// A vector in which only some samples are NaN is data: its elements compare as NaN
// does. An empty map and an empty string are data too: something was answered.
type form uint8

const (
	nilForm   form = 1 << iota // nil, JSON null
	emptyForm                  // a list without elements
	nanForm                    // NaN, or a list of NaN only

	hasData form = 0
	anyForm      = nilForm | emptyForm | nanForm
)

var errNoData = errors.New("no data")

// missing says in which way v holds no data.
func missing(v any) form {
	switch v := v.(type) {
	case nil:
		return nilForm
	case float64:
		if math.IsNaN(v) {
			return nanForm
		}
		return hasData
	case []float64:
		return missingFloats(v)
	}
	r := reflect.ValueOf(v)
	switch r.Kind() {
	case reflect.Slice, reflect.Array:
		if r.Len() == 0 {
			return emptyForm
		}
		for i := range r.Len() {
			if f, ok := r.Index(i).Interface().(float64); !ok || !math.IsNaN(f) {
				return hasData
			}
		}
		return nanForm
	case reflect.Pointer, reflect.Map, reflect.Interface, reflect.Func, reflect.Chan:
		if r.IsNil() {
			return nilForm
		}
	case reflect.Float32:
		if math.IsNaN(r.Float()) {
			return nanForm
		}
	}
	return hasData
}

func missingFloats(v []float64) form {
	if len(v) == 0 {
		return emptyForm
	}
	for _, f := range v {
		if !math.IsNaN(f) {
			return hasData
		}
	}
	return nanForm
}

// need passes v on unless it is missing in one of the forms.
func need(v any, forms form) (any, error) {
	if missing(v)&forms != 0 {
		return nil, errNoData
	}
	return v, nil
}

// evaluateMissing runs a condition over a result that holds no data. decided is false
// when the condition does not test for this form, or uses the data nevertheless.
func evaluateMissing(text string, result any, now time.Time) (ok, decided bool) {
	p := compiled.of(text, true)
	ok, err := p.run(result, now)
	if err != nil || p.tests&missing(result) == 0 {
		return false, false
	}
	return ok, true
}

// strict wraps every use of `result` in need(), except where the condition tests for
// missing data, and records for which forms it tests. It works from the leaves up: the
// wrap around `result` moves outwards as the path grows, `need(result[0].x)`, and is
// taken off again by a test around it.
type strict struct{ tests form }

// Visit implements ast.Visitor.
func (s *strict) Visit(n *ast.Node) {
	switch v := (*n).(type) {
	case *ast.IdentifierNode:
		if v.Value == "result" {
			wrap(n, "need")
		}
	case *ast.PointerNode:
		wrap(n, "need")
	case *ast.MemberNode:
		if unwrap(&v.Node) {
			wrap(n, "need")
		}
	case *ast.SliceNode:
		if unwrap(&v.Node) {
			wrap(n, "need")
		}
	case *ast.ChainNode:
		if unwrap(&v.Node) {
			wrap(n, "need")
		}
	case *ast.BuiltinNode:
		s.builtin(v)
	case *ast.CallNode:
		s.call(v)
	case *ast.BinaryNode:
		s.binary(v)
	}
}

func (s *strict) builtin(v *ast.BuiltinNode) {
	if len(v.Arguments) == 0 {
		return
	}
	first := &v.Arguments[0]
	if v.Name == "len" {
		if unwrap(first) {
			s.tests |= emptyForm
		}
		return
	}
	if len(v.Arguments) > 1 && isPredicate(v.Arguments[len(v.Arguments)-1]) && unwrap(first) {
		wrap(first, "needSome") // the elements are checked one by one, as #
	}
}

func (s *strict) call(v *ast.CallNode) {
	callee, ok := v.Callee.(*ast.IdentifierNode)
	if !ok || len(v.Arguments) == 0 {
		return
	}
	switch callee.Value {
	case "isNil":
		if unwrap(&v.Arguments[0]) {
			s.tests |= nilForm
		}
	case "isNaN":
		if unwrap(&v.Arguments[0]) {
			s.tests |= nanForm
		}
	case "default":
		s.orElse(&v.Arguments[0])
	}
}

func (s *strict) binary(v *ast.BinaryNode) {
	switch v.Operator {
	case "??":
		s.orElse(&v.Left)
	case "==", "!=":
		if isNilNode(v.Right) && unwrap(&v.Left) || isNilNode(v.Left) && unwrap(&v.Right) {
			s.tests |= nilForm
		}
	}
}

// orElse is for `x ?? y` and default(x, y), which replace nil only.
func (s *strict) orElse(n *ast.Node) {
	if unwrap(n) {
		s.tests |= nilForm
		wrap(n, "needUnlessNil")
	}
}

func wrap(n *ast.Node, function string) {
	ast.Patch(n, &ast.CallNode{Callee: &ast.IdentifierNode{Value: function}, Arguments: []ast.Node{*n}})
}

func unwrap(n *ast.Node) (wrapped bool) {
	c, ok := (*n).(*ast.CallNode)
	if !ok || len(c.Arguments) != 1 {
		return false
	}
	callee, ok := c.Callee.(*ast.IdentifierNode)
	if !ok || callee.Value != "need" {
		return false
	}
	*n = c.Arguments[0]
	return true
}

func isPredicate(n ast.Node) bool {
	_, ok := n.(*ast.PredicateNode)
	return ok
}

func isNilNode(n ast.Node) bool {
	_, ok := n.(*ast.NilNode)
	return ok
}
