package analysis

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/types"
	"github.com/expr-lang/expr/vm"
)

// maxCondition bounds the text of a condition, so that parsing stays cheap.
const maxCondition = 16 << 10

// program is a compiled condition. tests is what a strict one tests for; uses is what it
// takes of its result.
type program struct {
	code  *vm.Program
	tests form
	uses  uses
	err   error
}

// evaluate runs one condition over a result. `result` is typed as "any", so that
// `isNil(result) || result < 1` is valid whatever the result is.
func evaluate(text string, result any, now time.Time) (ok bool, err error) {
	return compiled.of(text, false).run(result, now)
}

// run answers with the condition's value; a panic of the engine is an error of the condition.
func (p program) run(result any, now time.Time) (ok bool, err error) {
	defer func() {
		if v := recover(); v != nil {
			ok, err = false, fmt.Errorf("%v", v)
		}
	}()
	if p.err != nil {
		return false, p.err
	}
	got, err := expr.Run(p.code, map[string]any{"result": result, "now": func() time.Time { return now }})
	if err != nil {
		return false, firstLine(err)
	}
	ok, is := got.(bool)
	if !is {
		return false, fmt.Errorf("expected bool, but got %T", got)
	}
	return ok, nil
}

// compile makes a program; strict ones use no missing data (nodata.go).
func compile(text string, strictly bool) (p program) {
	defer func() {
		if v := recover(); v != nil {
			p = program{err: fmt.Errorf("%v", v)}
		}
	}()
	if len(text) > maxCondition {
		return program{err: fmt.Errorf("the condition is longer than %d bytes", maxCondition)}
	}
	s, used := &strict{}, uses{last: -1}
	options := append(environment(), expr.Patch(&used))
	if strictly {
		options = append(append(options, needs()...), expr.Patch(s))
	}
	code, err := expr.Compile(text, options...)
	if err != nil {
		return program{err: firstLine(err)}
	}
	return program{code: code, tests: s.tests, uses: used}
}

// refuses says why a condition can never give a bool; nil where only a result could tell.
func refuses(text string) error {
	if p := compiled.of(text, false); p.err != nil {
		return p.err
	}
	// Not in compile: a check at run time says what it got in the published words.
	code, err := expr.Compile(text, append(environment(), expr.AsBool())...)
	if err != nil {
		return firstLine(err)
	}
	return neverBool(code.Node())
}

// neverBool finds conditions that give no bool whatever the result is, which the compiler
// cannot see as it does not know the result.
func neverBool(n ast.Node) error {
	switch n := n.(type) {
	case *ast.BinaryNode:
		switch n.Operator {
		case "+", "-", "*", "/", "%", "^", "**", "..":
			return fmt.Errorf("it gives the value of %q, and neither true nor false; compare it with a bound, as in result[0] >= 0.95", n.Operator)
		case "??":
			return neverBool(n.Right)
		}
	case *ast.UnaryNode:
		if n.Operator == "-" || n.Operator == "+" {
			return fmt.Errorf("it gives the value of %q, and neither true nor false; compare it with a bound, as in result[0] >= 0.95", n.Operator)
		}
	case *ast.IntegerNode, *ast.FloatNode, *ast.StringNode, *ast.ArrayNode, *ast.MapNode, *ast.NilNode:
		return errors.New("it gives a value, and neither true nor false")
	case *ast.ConditionalNode:
		if err := neverBool(n.Exp1); err != nil {
			return err
		}
		return neverBool(n.Exp2)
	}
	return nil
}

// environment is what a condition sees.
func environment() []expr.Option {
	return append(functions(), expr.Env(types.Map{"result": types.Any, "now": types.TypeOf(func() time.Time { return time.Time{} })}))
}

// maxCompiled bounds the conditions that are kept compiled: more than a cluster has, unless
// every run brings arguments of its own.
const maxCompiled = 4096

// compiled holds programs, since most measurements ask what another has asked before.
var compiled = &programs{known: map[condition]program{}}

type condition struct {
	text     string
	strictly bool
}

type programs struct {
	mu    sync.Mutex
	known map[condition]program
}

func (c *programs) of(text string, strictly bool) program {
	key := condition{text, strictly}
	c.mu.Lock()
	p, ok := c.known[key]
	c.mu.Unlock()
	if ok {
		return p
	}
	p = compile(text, strictly)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) >= maxCompiled {
		clear(c.known)
	}
	c.known[key] = p
	return p
}

// functions are what a condition can call besides the builtins of expr. now() is taken
// from the engine, which would read the clock: it answers the measurement's moment.
func functions() []expr.Option {
	return []expr.Option{
		expr.DisableBuiltin("now"),
		expr.Function("asInt", unary(asInt), new(func(any) int64)),
		expr.Function("asFloat", unary(asFloat), new(func(any) float64)),
		expr.Function("isNaN", unary(isNaN), new(func(any) bool)),
		expr.Function("isInf", unary(isInf), new(func(any) bool)),
		expr.Function("isNil", func(a ...any) (any, error) { return isNil(a[0]), nil }, new(func(any) bool)),
		expr.Function("default", func(a ...any) (any, error) {
			if isNil(a[0]) {
				return a[1], nil
			}
			return a[0], nil
		}, new(func(any, any) any)),
	}
}

// needs are the functions that strict puts into a condition.
func needs() []expr.Option {
	needs := func(name string, forms form) expr.Option {
		return expr.Function(name, func(a ...any) (any, error) { return need(a[0], forms) }, new(func(any) any))
	}
	return []expr.Option{
		needs("need", anyForm),
		needs("needSome", nilForm|emptyForm),
		needs("needUnlessNil", emptyForm|nanForm),
	}
}

func unary(f func(any) (any, error)) func(...any) (any, error) {
	return func(a ...any) (any, error) { return f(a[0]) }
}

// firstLine drops the engine's position marks: " (1:8)" and the drawing below it.
func firstLine(err error) error {
	var located *file.Error
	if errors.As(err, &located) {
		return errors.New(located.Message)
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return errors.New(line)
}
