package analysis

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// secretPlaceholder stands for secrets wherever the real value is not needed.
const secretPlaceholder = "temp-for-secret"

// Resolve returns the metrics of a run with every {{args.NAME}} replaced, in any
// string of the metric, keys of maps included. secrets are the values of the args that
// come from Secrets, by arg name; nil puts a placeholder for each.
//
// The replacement works on decoded values, so any arg value is safe, and it is made
// once: braces inside a value stay. {{"{{"}} gives two literal braces.
func Resolve(spec v1alpha1.AnalysisRunSpec, secrets map[string]string) ([]v1alpha1.Metric, error) {
	values, err := argValues(spec.Args, secrets)
	if err != nil {
		return nil, err
	}
	out := make([]v1alpha1.Metric, len(spec.Metrics))
	for i := range spec.Metrics {
		if out[i], err = resolveMetric(spec.Metrics[i], values); err != nil {
			return nil, explained(fmt.Sprintf("metrics[%d]", i), err, values)
		}
	}
	return out, nil
}

func argValues(args []v1alpha1.Argument, secrets map[string]string) (map[string]string, error) {
	values := map[string]string{}
	for _, a := range args {
		switch {
		case a.ValueFrom != nil && a.ValueFrom.SecretKeyRef != nil && secrets == nil:
			values[a.Name] = secretPlaceholder
		case a.ValueFrom != nil && a.ValueFrom.SecretKeyRef != nil:
			v, ok := secrets[a.Name]
			if !ok {
				return nil, fmt.Errorf("argument \"%s\" was not supplied", a.Name)
			}
			values[a.Name] = v
		case a.Value != nil:
			values[a.Name] = *a.Value
		default:
			return nil, fmt.Errorf("argument \"%s\" was not supplied", a.Name)
		}
	}
	return values, nil
}

func resolveMetric(m v1alpha1.Metric, values map[string]string) (v1alpha1.Metric, error) {
	raw, err := json.Marshal(m)
	if err != nil {
		return m, fmt.Errorf("encode metric %q: %w", m.Name, err)
	}
	if !bytes.Contains(raw, []byte("{{")) {
		return *m.DeepCopy(), nil
	}
	var tree any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&tree); err != nil {
		return m, fmt.Errorf("decode metric %q: %w", m.Name, err)
	}
	if tree, err = walk(tree, values); err != nil {
		return m, err
	}
	if raw, err = json.Marshal(tree); err != nil {
		return m, fmt.Errorf("encode metric %q: %w", m.Name, err)
	}
	var out v1alpha1.Metric
	if err := json.Unmarshal(raw, &out); err != nil {
		return m, fmt.Errorf("decode metric %q: %w", m.Name, err)
	}
	return out, nil
}

// walk replaces in every string below v. Keys go in sorted order, so the first error
// is always the same one.
func walk(v any, values map[string]string) (any, error) {
	switch v := v.(type) {
	case string:
		return substitute(v, values)
	case []any:
		for i := range v {
			e, err := walk(v[i], values)
			if err != nil {
				return nil, under(fmt.Sprintf("[%d]", i), err)
			}
			v[i] = e
		}
		return v, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			key, err := substitute(k, values)
			if err != nil {
				return nil, under("."+k, err)
			}
			if out[key], err = walk(v[k], values); err != nil {
				return nil, under("."+k, err)
			}
		}
		return out, nil
	}
	return v, nil
}

// unknownArg is a tag that no arg answers, and where it stands.
type unknownArg struct{ tag, path string }

func (e *unknownArg) Error() string { return fmt.Sprintf("failed to resolve {{%s}}", e.tag) }

// under adds to where an error is.
func under(segment string, err error) error {
	var u *unknownArg
	if errors.As(err, &u) {
		u.path = segment + u.path
	}
	return err
}

// explained puts behind the published words where the tag stands, and what there is.
func explained(metric string, err error, values map[string]string) error {
	var u *unknownArg
	if !errors.As(err, &u) {
		return err
	}
	have := "no args"
	if len(values) > 0 {
		have = "the args " + strings.Join(slices.Sorted(maps.Keys(values)), ", ")
	}
	return fmt.Errorf("%w; it stands in %s%s, and the run has %s", err, metric, u.path, have)
}

// substitute replaces the tags of one string.
func substitute(text string, values map[string]string) (string, error) {
	var b strings.Builder
	rest := text
	for {
		before, after, found := strings.Cut(rest, "{{")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		if literal, ok := strings.CutPrefix(after, `"{{"}}`); ok {
			b.WriteString("{{")
			rest = literal
			continue
		}
		tag, next, closed := strings.Cut(after, "}}")
		if !closed {
			return "", fmt.Errorf("Cannot find end tag=\"}}\" in the template=%q starting from %q", text, after) //nolint:staticcheck // published text
		}
		name, isArg := strings.CutPrefix(strings.TrimSpace(tag), "args.")
		value, known := values[name]
		if !isArg || !known {
			return "", &unknownArg{tag: tag}
		}
		b.WriteString(value)
		rest = next
	}
}
