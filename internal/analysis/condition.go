package analysis

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/types"
	"github.com/expr-lang/expr/vm"
)

// maxCondition bounds the text of a condition, so that parsing stays cheap.
const maxCondition = 16 << 10

// evaluate runs one condition over a result. `result` is typed as "any", so that
// `isNil(result) || result < 1` is valid whatever the result is.
func evaluate(text string, result any, now time.Time) (ok bool, err error) {
	return run(text, result, now, nil)
}

// run compiles and runs; a panic of the engine is an error of the condition.
func run(text string, result any, now time.Time, patch ast.Visitor) (ok bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			ok, err = false, fmt.Errorf("%v", p)
		}
	}()
	program, err := compile(text, now, patch)
	if err != nil {
		return false, firstLine(err)
	}
	got, err := expr.Run(program, map[string]any{"result": result})
	if err != nil {
		return false, firstLine(err)
	}
	ok, is := got.(bool)
	if !is {
		return false, fmt.Errorf("expected bool, but got %T", got)
	}
	return ok, nil
}

func compile(text string, now time.Time, patch ast.Visitor) (*vm.Program, error) {
	if len(text) > maxCondition {
		return nil, fmt.Errorf("the condition is longer than %d bytes", maxCondition)
	}
	options := append(functions(now), expr.Env(types.Map{"result": types.Any}))
	if patch != nil {
		options = append(append(options, needs()...), expr.Patch(patch))
	}
	return expr.Compile(text, options...)
}

// functions are what a condition can call besides the builtins of expr. now() is taken
// from the engine, which would read the clock, and answers the measurement's moment.
func functions(now time.Time) []expr.Option {
	return []expr.Option{
		expr.DisableBuiltin("now"),
		expr.Function("now", func(...any) (any, error) { return now, nil }, new(func() time.Time)),
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
