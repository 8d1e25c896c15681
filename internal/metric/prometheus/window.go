package prometheus

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/file"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// windowOf reads rangeQuery; nil means an instant query. Start and end are expressions
// such as `now() - duration("1h")`, step is a Go duration.
func windowOf(m *v1alpha1.PrometheusMetric, now time.Time) (*promv1.Range, error) {
	q := m.RangeQuery
	if q == nil {
		return nil, nil
	}
	start, err := moment(q.Start, now)
	if err != nil {
		return nil, fmt.Errorf("failed to parse rangeQuery.start as time: %w", err)
	}
	end, err := moment(q.End, now)
	if err != nil {
		return nil, fmt.Errorf("failed to parse rangeQuery.end as time: %w", err)
	}
	step, err := time.ParseDuration(q.Step)
	if err == nil && step <= 0 {
		err = fmt.Errorf("%s is not positive", step)
	}
	if err != nil {
		return nil, fmt.Errorf("failed to parse rangeQuery.step as duration: %w", err)
	}
	return &promv1.Range{Start: start, End: end, Step: step}, nil
}

func moment(text string, now time.Time) (at time.Time, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	program, err := expr.Compile(text,
		expr.Env(map[string]any{}),
		expr.DisableBuiltin("now"),
		expr.Function("now", func(...any) (any, error) { return now, nil }, new(func() time.Time)),
		expr.Function("isNaN", func(a ...any) (any, error) { return math.IsNaN(a[0].(float64)), nil }, new(func(float64) bool)),
		expr.Function("isInf", func(a ...any) (any, error) { return math.IsInf(a[0].(float64), 0), nil }, new(func(float64) bool)),
	)
	if err != nil {
		return at, plain(err)
	}
	v, err := expr.Run(program, nil)
	if err != nil {
		return at, plain(err)
	}
	at, ok := v.(time.Time)
	if !ok {
		return at, fmt.Errorf("expected time.Time, but got %T", v)
	}
	return at, nil
}

// plain drops the engine's drawing of the position.
func plain(err error) error {
	var located *file.Error
	if errors.As(err, &located) {
		return errors.New(located.Message)
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return errors.New(line)
}
