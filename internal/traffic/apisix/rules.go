package apisix

import (
	"fmt"
	"regexp"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/objects"
)

// pair is the two backends of a rule that are ours, and the rule.
type pair struct{ rule, stable, canary map[string]any }

// pairs finds the backends of every rule that the Rollout names.
func (d desk) pairs(object map[string]any) (list []pair, problem string) {
	raw, found, err := unstructured.NestedFieldNoCopy(object, "spec", "http")
	if _, isList := raw.([]any); err != nil || !found || !isList {
		return nil, "spec.http was not found in Apisix Route manifest"
	}
	rules := objects.Entries(raw)
	for _, name := range d.rules {
		i := slices.IndexFunc(rules, func(r map[string]any) bool { return r["name"] == name })
		if i < 0 {
			return nil, fmt.Sprintf("Apisix http route rule %s not found", name)
		}
		p := pair{rule: rules[i]}
		if _, isList := rules[i]["backends"].([]any); !isList {
			return nil, fmt.Sprintf("Apisix http route backends not found: rule %s has none", name)
		}
		for _, b := range objects.Entries(rules[i]["backends"]) {
			switch {
			case p.stable == nil && b["serviceName"] == d.StableService:
				p.stable = b
			case p.canary == nil && b["serviceName"] == d.CanaryService:
				p.canary = b
			}
		}
		switch none := "apisix route %s backend was not found: rule %s has none for that Service"; {
		case p.canary == nil:
			return nil, fmt.Sprintf(none, d.CanaryService, name)
		case p.stable == nil:
			return nil, fmt.Sprintf(none, d.StableService, name)
		}
		list = append(list, p)
	}
	return list, ""
}

// copies is the spec of a header route: for each rule and each match a copy of the rule.
func (d desk) copies(base map[string]any, h v1alpha1.SetHeaderRoute) (spec map[string]any, problem string) {
	pairs, problem := d.pairs(base)
	if problem != "" {
		return nil, problem
	}
	var list []any
	for _, p := range pairs {
		for i, m := range h.Match {
			e, problem := expression(m)
			if problem != "" {
				return nil, fmt.Sprintf("route %q: %s", h.Name, problem)
			}
			rule := runtime.DeepCopyJSON(p.rule)
			if i > 0 {
				rule["name"] = fmt.Sprintf("%s-%d", rule["name"], i)
			}
			priority, _ := traffic.Parts(rule["priority"])
			rule["priority"] = priority + 1
			match, ok := rule["match"].(map[string]any)
			if !ok {
				match = map[string]any{}
				rule["match"] = match
			}
			others, _ := match["exprs"].([]any)
			match["exprs"] = append(slices.Clone(others), e)
			only := runtime.DeepCopyJSON(p.canary)
			only["weight"] = int64(traffic.DefaultTotal)
			rule["backends"] = []any{only}
			list = append(list, rule)
		}
	}
	spec = map[string]any{"http": list}
	if from, _ := base["spec"].(map[string]any); from["ingressClassName"] != nil {
		spec["ingressClassName"] = from["ingressClassName"]
	}
	return spec, ""
}

// expression is what APISIX compares a header with.
func expression(m v1alpha1.HeaderRoutingMatch) (e map[string]any, problem string) {
	e = map[string]any{"subject": map[string]any{"scope": "Header", "name": m.HeaderName}}
	v := m.HeaderValue
	switch {
	case v == nil || *v == (v1alpha1.StringMatch{}):
		return nil, fmt.Sprintf("header %s has no value to compare with: set exact, prefix or regex", m.HeaderName)
	case v.Exact != "":
		e["op"], e["value"] = "Equal", v.Exact
	case v.Prefix != "":
		e["op"], e["value"] = "RegexMatch", "^"+regexp.QuoteMeta(v.Prefix)+".*"
	default:
		e["op"], e["value"] = "RegexMatch", v.Regex
	}
	return e, ""
}
