package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"k8s.io/client-go/util/jsonpath"

	"github.com/penstock-io/penstock/internal/metric"
)

// selector compiles a jsonPath; "" selects everything, and braces may be left out.
func selector(path string) (*jsonpath.JSONPath, error) {
	if path == "" {
		path = "{$}"
	}
	if !strings.Contains(path, "{") {
		path = "{" + path + "}"
	}
	j := jsonpath.New("metrics")
	if err := j.Parse(path); err != nil {
		return nil, fmt.Errorf("read jsonPath: %w", err)
	}
	return j, nil
}

// read turns a body into a Result.
func read(body []byte, find *jsonpath.JSONPath) (metric.Result, error) {
	var data any
	if err := json.Unmarshal(body, &data); err != nil {
		return metric.Result{Kind: metric.Values, Value: string(body), Display: string(body)}, nil
	}
	if data == nil {
		return metric.Result{Kind: metric.NoData, Display: "null", Why: "the answer is null"}, nil
	}
	value, found, err := first(data, find)
	if err != nil {
		return metric.Result{}, fmt.Errorf("Could not find JSONPath in body: %w", err) //nolint:staticcheck // published text
	}
	if !found {
		return metric.Result{Kind: metric.NoData, Why: "the jsonPath selects nothing"}, nil
	}
	display, err := json.Marshal(value)
	if err != nil {
		return metric.Result{}, fmt.Errorf("print the value: %w", err)
	}
	res := metric.Result{Kind: metric.Values, Value: value, Display: string(display)}
	if value == nil {
		res.Kind, res.Why = metric.NoData, "the value at the jsonPath is null"
	}
	if list, ok := value.([]any); ok && len(list) == 0 {
		res.Kind, res.Why = metric.NoData, "the value at the jsonPath is an empty list"
	}
	return res, nil
}

// first returns the first match; a panic of the library on odd data is an error.
func first(data any, find *jsonpath.JSONPath) (value any, found bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			value, found, err = nil, false, fmt.Errorf("%v", p)
		}
	}()
	matches, err := find.FindResults(data)
	if err != nil {
		return nil, false, err
	}
	for _, m := range matches {
		if len(m) == 0 {
			continue
		}
		if !m[0].IsValid() {
			return nil, true, nil
		}
		if !m[0].CanInterface() {
			return nil, false, errors.New("result of web metric produced no value")
		}
		return m[0].Interface(), true, nil
	}
	return nil, false, nil
}
