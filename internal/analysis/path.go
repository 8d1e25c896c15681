package analysis

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// errNotMetadata is the published text for a metadata path outside the downward API.
var errNotMetadata = errors.New("Analyses arguments must refer to valid object metadata supported by downwardAPI") //nolint:staticcheck // published text

var separators = regexp.MustCompile(`[.\[\]]+`)

// fieldRef reads a fieldPath of an arg over the Rollout, which is its decoded JSON.
// Paths that begin with "metadata" follow the downward API, others walk the object.
func fieldRef(rollout map[string]any, path string) (string, error) {
	if strings.HasPrefix(path, "metadata") {
		return metadataField(rollout, path)
	}
	var v any = rollout
	for _, piece := range pieces(path) {
		switch t := v.(type) {
		case map[string]any:
			v = t[piece]
		case []any:
			i, err := strconv.Atoi(piece)
			if err != nil || i < 0 {
				return "", fmt.Errorf("invalid index '%s'", piece)
			}
			if i >= len(t) {
				return "", fmt.Errorf("index %d out of range", i)
			}
			v = t[i]
		default:
			v = nil
		}
		if v == nil {
			return "", fmt.Errorf("invalid path %s in rollout", path)
		}
	}
	text, ok := printed(v)
	if !ok {
		return "", fmt.Errorf("path %s in rollout must terminate in a primitive value", path)
	}
	return text, nil
}

func pieces(path string) []string {
	return slices.DeleteFunc(separators.Split(path, -1), func(p string) bool { return p == "" })
}

// metadataField is the downward API: name, namespace, uid, labels and annotations, the
// last two whole or by key: metadata.labels['app'].
func metadataField(rollout map[string]any, path string) (string, error) {
	meta, _ := rollout["metadata"].(map[string]any)
	field, isMeta := strings.CutPrefix(path, "metadata.")
	if !isMeta {
		return "", errNotMetadata
	}
	switch field {
	case "name", "namespace", "uid":
		text, _ := meta[field].(string)
		return text, nil
	case "labels", "annotations":
		m, _ := meta[field].(map[string]any)
		var lines []string
		for _, k := range slices.Sorted(maps.Keys(m)) {
			lines = append(lines, fmt.Sprintf("%s=%q", k, fmt.Sprint(m[k])))
		}
		return strings.Join(lines, "\n"), nil
	}
	name, rest, _ := strings.Cut(field, "[")
	key, closed := strings.CutSuffix(rest, "]")
	if name != "labels" && name != "annotations" || !closed || len(key) < 3 ||
		key[0] != '\'' && key[0] != '"' || key[len(key)-1] != key[0] {
		return "", errNotMetadata
	}
	m, _ := meta[name].(map[string]any)
	text, _ := m[key[1:len(key)-1]].(string)
	return text, nil
}

// printed shows a scalar; whole numbers keep all their digits.
func printed(v any) (text string, ok bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return strconv.FormatInt(int64(v), 10), true
		}
		return strconv.FormatFloat(v, 'g', -1, 64), true
	case map[string]any, []any, nil:
		return "", false
	}
	return fmt.Sprint(v), true
}

// expand replaces every {{ .Rollout.… }} of an arg's value by what the path leads to in
// the Rollout. Names match without regard to case, so that the field names of the Go
// types work: .Rollout.Spec.Template.Spec.Containers.0.Image. Other braces stay.
func expand(arg, text string, rollout Tree) (string, error) {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, "{{")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		tag, rest, closed := strings.Cut(after, "}}")
		path := strings.TrimSpace(strings.Trim(strings.TrimSpace(tag), "-"))
		switch {
		case closed && (path == ".Rollout" || strings.HasPrefix(path, ".Rollout.") || strings.HasPrefix(path, ".Rollout[")):
			value, err := lookup(rollout.whole(), path)
			if err != nil {
				return "", fmt.Errorf("argument \"%s\": {{ %s }}: %w", arg, path, err)
			}
			b.WriteString(value)
			text = rest
		case closed && strings.Contains(path, ".Rollout"):
			return "", fmt.Errorf("argument \"%s\": {{ %s }}: only a path is allowed, such as {{ .Rollout.Metadata.Name }}", arg, path)
		default:
			b.WriteString("{{")
			text = after
		}
	}
}

// lookup follows one path. A name with dots in it, such as a label key, is found too:
// of several keys that fit the longest is taken.
func lookup(rollout map[string]any, path string) (string, error) {
	var v any = rollout
	at := ".Rollout"
	rest := pieces(strings.TrimPrefix(path, ".Rollout"))
	for i := range rest {
		rest[i] = strings.Trim(rest[i], `"'`)
	}
	for len(rest) > 0 {
		switch t := v.(type) {
		case map[string]any:
			key, used := longestKey(t, rest)
			if used == 0 && at == ".Rollout" {
				t, key, used = promoted(t, rest)
			}
			if used == 0 {
				return "", fmt.Errorf("there is no %q in %s, which has %s", rest[0], at, keysOf(t))
			}
			v, at, rest = t[key], at+"."+strings.Join(rest[:used], "."), rest[used:]
		case []any:
			i, err := strconv.Atoi(rest[0])
			if err != nil || i < 0 || i >= len(t) {
				return "", fmt.Errorf("there is no element %q in %s, which has %d elements, counted from 0", rest[0], at, len(t))
			}
			v, at, rest = t[i], at+"."+rest[0], rest[1:]
		default:
			return "", fmt.Errorf("there is no %q in %s, which is a single value", rest[0], at)
		}
	}
	text, ok := printed(v)
	switch t := v.(type) {
	case map[string]any:
		return "", fmt.Errorf("%s is not a single value: it has %s", at, keysOf(t))
	case []any:
		return "", fmt.Errorf("%s is not a single value: it has %d elements", at, len(t))
	case nil:
		return "", fmt.Errorf("%s is null", at)
	}
	if !ok {
		return "", fmt.Errorf("%s is not a single value", at)
	}
	return text, nil
}

// promoted finds what the Go type takes over from its ObjectMeta: .Rollout.Name, and
// .Rollout.ObjectMeta itself.
func promoted(root map[string]any, rest []string) (in map[string]any, key string, used int) {
	if rest[0] == "ObjectMeta" {
		return root, "metadata", 1
	}
	meta, _ := root["metadata"].(map[string]any)
	key, used = longestKey(meta, rest)
	return meta, key, used
}

func longestKey(m map[string]any, rest []string) (key string, used int) {
	for n := len(rest); n > 0; n-- {
		want := strings.Join(rest[:n], ".")
		if _, ok := m[want]; ok {
			return want, n
		}
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if strings.EqualFold(k, want) {
				return k, n
			}
		}
	}
	return "", 0
}

func keysOf(m map[string]any) string {
	if len(m) == 0 {
		return "nothing"
	}
	return clip(strings.Join(slices.Sorted(maps.Keys(m)), ", "))
}
