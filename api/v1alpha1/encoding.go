package v1alpha1

import "encoding/json"

// MarshalJSON leaves out a template or selector that was read from the referenced
// workload, so that it is never written back.
func (s RolloutSpec) MarshalJSON() ([]byte, error) {
	type plain RolloutSpec
	if !s.TemplateResolvedFromRef && !s.SelectorResolvedFromRef {
		return json.Marshal(plain(s))
	}
	out := plain(s)
	if s.SelectorResolvedFromRef {
		out.Selector = nil
	}
	data, err := json.Marshal(out)
	if err != nil || !s.TemplateResolvedFromRef {
		return data, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, err
	}
	delete(fields, "template")
	return json.Marshal(fields)
}
