package ambassador

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/objects"
)

const (
	defaultVersion = "getambassador.io/v2"
	// newGroup has the kind under another name.
	newGroup = "x.getambassador.io"
	suffix   = "-canary"
	// maxName is how much of a Mapping's name stands before the suffix.
	maxName = 253 - len(suffix)
	path    = "spec.strategy.canary.trafficRouting.ambassador"
)

// Options are the settings of the router; the zero value is the default.
type Options struct {
	// APIVersion is that of Mapping; default getambassador.io/v2. In group x.getambassador.io
	// the kind is AmbassadorMapping.
	APIVersion string
	// Settle is how long Ambassador may lag behind a write; default 2 s.
	Settle time.Duration
}

// New makes the router.
func New(reader client.Reader, writer client.Client, o Options) traffic.Router {
	return objects.New(reader, writer, o.plan, o.Settle)
}

// Uses reports whether the rollout routes with Ambassador.
func Uses(r *v1alpha1.RolloutTrafficRouting) bool { return r != nil && r.Ambassador != nil }

// Objects lists the Mappings.
func (o Options) Objects(t traffic.Target) []traffic.Ref {
	if !Uses(t.Routing) {
		return nil
	}
	return o.plan(t).Refs()
}

// Kinds lists the kinds to watch for a target.
func (o Options) Kinds(traffic.Target) []schema.GroupVersionKind {
	return []schema.GroupVersionKind{o.gvk()}
}

func (o Options) gvk() schema.GroupVersionKind {
	k := schema.FromAPIVersionAndKind(cmp.Or(o.APIVersion, defaultVersion), "Mapping")
	if k.Group == newGroup {
		k.Kind = "AmbassadorMapping"
	}
	return k
}

func (o Options) plan(t traffic.Target) objects.Plan {
	p := objects.Plan{By: "with Ambassador", Total: traffic.DefaultTotal, Refuse: objects.WeightsOnly}
	if !Uses(t.Routing) {
		p.Problem = path + ": the rollout has no such section"
		return p
	}
	if len(t.Routing.Ambassador.Mappings) == 0 {
		p.Problem = path + ".mappings: must provide at least one mapping"
	}
	p.Problem = cmp.Or(p.Problem, objects.Two(t))
	seen := map[string]bool{}
	for i, name := range t.Routing.Ambassador.Mappings {
		if name == "" || seen[name] {
			p.Problem = cmp.Or(p.Problem, fmt.Sprintf("%s.mappings[%d]: name each Mapping once, got %q", path, i, name))
			continue
		}
		seen[name] = true
		p.Objects = append(p.Objects, objects.Object{Kind: o.gvk(), Namespace: t.Namespace, Name: name},
			objects.Object{Kind: o.gvk(), Namespace: t.Namespace, Name: canaryName(name), Made: true})
	}
	p.Read = func(have []map[string]any) (traffic.Split, string) {
		looks := make([]traffic.Split, 0, len(have)/2)
		problem := each(p, have, func(i int) (problem string) {
			var look traffic.Split
			look, problem = read(t, p, i, have)
			looks = append(looks, look)
			return problem
		})
		if problem != "" {
			return traffic.Split{}, problem
		}
		return traffic.Widest(looks...), ""
	}
	p.Render = func(have []map[string]any, s traffic.Split, remove bool) string {
		return each(p, have, func(i int) string { return render(t, p, i, have, s, remove) })
	}
	return p
}

// canaryName is the published one; of a long name the end is cut.
func canaryName(name string) string { return name[:min(len(name), maxName)] + suffix }

// each does something with every pair of Mappings, and joins what is wrong in published form.
func each(p objects.Plan, have []map[string]any, do func(i int) string) string {
	var problems []string
	for i := 0; i < len(p.Objects) && i < len(have); i += 2 {
		if problem := do(i); problem != "" {
			problems = append(problems, problem)
		}
	}
	if len(problems) < 2 {
		return strings.Join(problems, "")
	}
	return fmt.Sprintf("%d errors found: [%s]", len(problems), strings.Join(problems, "]["))
}

// read looks at one pair. A canary's Mapping that is not as it would be written gets an entry
// that no wanted split has, so that it is written anew.
func read(t traffic.Target, p objects.Plan, i int, have []map[string]any) (traffic.Split, string) {
	base, canary := have[i], have[i+1]
	if canary == nil {
		_, problem := wanted(t, p.Objects[i].Name, base, 0)
		return objects.Missing(p.Total, t), problem
	}
	if problem := foreign(t, p.Objects[i+1], canary); problem != "" {
		return traffic.Split{}, problem
	}
	spec, _ := canary["spec"].(map[string]any)
	parts, exact := traffic.Parts(spec["weight"])
	weight := int32(min(parts, int64(p.Total)))
	s := traffic.Two(p.Total, weight, traffic.Destination{Service: t.StableService}, traffic.Destination{Service: t.CanaryService})
	probe := runtime.DeepCopyJSON(canary)
	if problem := write(t, p.Objects[i].Name, base, probe, weight); problem != "" {
		return traffic.Split{}, problem
	}
	if !exact || !traffic.Same(probe, canary) {
		s.Destinations = append(s.Destinations, traffic.Destination{Role: traffic.Extra})
	}
	return s, ""
}

// render makes the canary's Mapping of one pair, changes it, or takes it away.
func render(t traffic.Target, p objects.Plan, i int, have []map[string]any, s traffic.Split, remove bool) string {
	at := p.Objects[i+1]
	problem := foreign(t, at, have[i+1])
	switch {
	case remove && problem == "":
		have[i+1] = nil
		return ""
	case remove:
		return "" // it is not ours
	case problem != "":
		return problem
	}
	canary := have[i+1]
	if canary == nil {
		canary = map[string]any{"apiVersion": at.Kind.GroupVersion().String(), "kind": at.Kind.Kind, "metadata": map[string]any{
			"name": at.Name, "namespace": at.Namespace, "ownerReferences": []any{objects.Owner(t)}}}
	}
	if problem := write(t, p.Objects[i].Name, have[i], canary, s.Weight(traffic.Canary)); problem != "" {
		return problem
	}
	have[i+1] = canary
	return ""
}

func foreign(t traffic.Target, at objects.Object, canary map[string]any) string {
	if canary == nil || objects.Owned(canary, t) {
		return ""
	}
	return fmt.Sprintf("%s is controlled by a different object: delete it, or rename the Mapping that it would stand beside", at.Ref())
}

// write puts labels and spec into the canary's Mapping, in place.
func write(t traffic.Target, name string, base, canary map[string]any, weight int32) string {
	spec, problem := wanted(t, name, base, weight)
	if problem != "" {
		return problem
	}
	if !traffic.Same(canary["spec"], spec) {
		canary["spec"] = spec
	}
	from, _ := base["metadata"].(map[string]any)
	to, _ := canary["metadata"].(map[string]any)
	if labels, _ := from["labels"].(map[string]any); len(labels) > 0 && to != nil {
		mine, _ := to["labels"].(map[string]any)
		if mine == nil {
			mine = map[string]any{}
		}
		for k, v := range labels {
			mine[k] = v
		}
		to["labels"] = mine
	}
	return ""
}

// wanted is the spec of the canary's Mapping.
func wanted(t traffic.Target, name string, base map[string]any, weight int32) (spec map[string]any, problem string) {
	from, _ := base["spec"].(map[string]any)
	if parts, _ := traffic.Parts(from["weight"]); parts != 0 {
		return nil, fmt.Sprintf("Ambassador mapping %q can not define weight", name)
	}
	service, _ := from["service"].(string)
	to, ok := lead(service, t.StableService, t.CanaryService)
	if !ok {
		return nil, fmt.Sprintf("Ambassador mapping %q: spec.service: Invalid value: %q: does not lead to the stable Service %s", name, service, t.StableService)
	}
	spec = runtime.DeepCopyJSON(from)
	spec["service"], spec["weight"] = to, int64(weight)
	return spec, ""
}

// lead replaces the name of the Service, and leaves scheme, namespace and port as they are.
func lead(service, stable, canary string) (string, bool) {
	scheme, rest, found := strings.Cut(service, "://")
	if !found {
		scheme, rest = "", service
	} else {
		scheme += "://"
	}
	end := strings.IndexAny(rest, ".:/")
	if end < 0 {
		end = len(rest)
	}
	if rest[:end] != stable {
		return "", false
	}
	return scheme + canary + rest[end:], true
}
