package traffic

import "reflect"

// Same reports whether two decoded JSON values are equal; 30 and 30.0 are one number.
func Same(a, b any) bool { return reflect.DeepEqual(plain(a), plain(b)) }

func plain(value any) any {
	switch v := value.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for key, child := range v {
			m[key] = plain(child)
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i, child := range v {
			list[i] = plain(child)
		}
		return list
	case float64:
		if float64(int64(v)) == v {
			return int64(v)
		}
	}
	return value
}
