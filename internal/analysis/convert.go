package analysis

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
)

// number reads any Go number as a float64.
func number(v any) (f float64, ok bool) {
	r := reflect.ValueOf(v)
	switch {
	case !r.IsValid():
		return 0, false
	case r.CanInt():
		return float64(r.Int()), true
	case r.CanUint():
		return float64(r.Uint()), true
	case r.CanFloat():
		return r.Float(), true
	}
	return 0, false
}

// asInt truncates numbers and parses strings strictly: "1.1" is an error.
func asInt(v any) (any, error) {
	if s, ok := v.(string); ok {
		i, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return nil, err
		}
		return i, nil
	}
	r := reflect.ValueOf(v)
	switch {
	case r.IsValid() && r.CanInt():
		return r.Int(), nil
	case r.IsValid() && r.CanUint() && r.Uint() <= math.MaxInt64:
		return int64(r.Uint()), nil
	case r.IsValid() && r.CanFloat() && math.Abs(r.Float()) < math.MaxInt64:
		return int64(r.Float()), nil
	}
	return nil, fmt.Errorf("asInt() not supported on %T %v", v, v)
}

func asFloat(v any) (any, error) {
	if s, ok := v.(string); ok {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return nil, err
		}
		return f, nil
	}
	f, ok := number(v)
	if !ok {
		return nil, fmt.Errorf("asFloat() not supported on %T %v", v, v)
	}
	return f, nil
}

func isNaN(v any) (any, error) {
	f, ok := number(v)
	if !ok {
		return nil, fmt.Errorf("isNaN() not supported on %T", v)
	}
	return math.IsNaN(f), nil
}

func isInf(v any) (any, error) {
	f, ok := number(v)
	if !ok {
		return nil, fmt.Errorf("isInf() not supported on %T", v)
	}
	return math.IsInf(f, 0), nil
}

// isNil looks at its own argument; a typed nil pointer or map is nil too.
func isNil(v any) bool { return missing(v) == nilForm }
