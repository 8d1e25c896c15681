package smi

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/objects"
)

const (
	group = "split.smi-spec.io"
	kind  = "TrafficSplit"
	path  = "spec.strategy.canary.trafficRouting.smi"
)

// asText is the version in which weights are quantities.
const asText = "v1alpha1"

// Options are the settings of the router; the zero value is the default.
type Options struct {
	// Version is v1alpha1, v1alpha2 or v1alpha3; default v1alpha1.
	Version string
	// Settle is how long the mesh may lag behind a write; default 2 s.
	Settle time.Duration
}

// Check refuses versions that there are not.
func (o Options) Check() error {
	switch o.Version {
	case "", "v1alpha1", "v1alpha2", "v1alpha3":
		return nil
	}
	return fmt.Errorf("Unsupported TrafficSplit API version `%s`", o.Version) //nolint:staticcheck // published text
}

// New makes the router.
func New(reader client.Reader, writer client.Client, o Options) traffic.Router {
	return objects.New(reader, writer, o.plan, o.Settle)
}

// Uses reports whether the rollout routes with SMI.
func Uses(r *v1alpha1.RolloutTrafficRouting) bool { return r != nil && r.SMI != nil }

// Objects lists the TrafficSplit.
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
	return schema.GroupVersionKind{Group: group, Version: cmp.Or(o.Version, asText), Kind: kind}
}

func (o Options) plan(t traffic.Target) objects.Plan {
	p := objects.Plan{By: "with SMI", Total: traffic.DefaultTotal, Refuse: refuse}
	if !Uses(t.Routing) {
		p.Problem = path + ": the rollout has no such section"
		return p
	}
	p.Problem = objects.Two(t)
	at := objects.Object{Kind: o.gvk(), Namespace: t.Namespace, Name: cmp.Or(t.Routing.SMI.TrafficSplitName, t.Name), Made: true}
	p.Objects = []objects.Object{at}
	foreign := func(object map[string]any) string {
		if object == nil || objects.Owned(object, t) {
			return ""
		}
		return fmt.Sprintf("Rollout does not own TrafficSplit `%s`: delete it, or name another one in %s.trafficSplitName", at.Name, path)
	}
	p.Read = func(have []map[string]any) (traffic.Split, string) {
		if have[0] == nil {
			return objects.Missing(p.Total, t), ""
		}
		if problem := foreign(have[0]); problem != "" {
			return traffic.Split{}, problem
		}
		return o.read(have[0], t), ""
	}
	p.Render = func(have []map[string]any, s traffic.Split, remove bool) string {
		problem := foreign(have[0])
		switch {
		case remove && problem == "":
			have[0] = nil
			return ""
		case remove:
			return "" // it is not ours
		case problem != "":
			return problem
		case have[0] == nil:
			have[0] = map[string]any{"apiVersion": at.Kind.GroupVersion().String(), "kind": kind, "metadata": map[string]any{
				"name": at.Name, "namespace": at.Namespace, "ownerReferences": []any{objects.Owner(t)}}}
		}
		o.render(have[0], t, s)
		return ""
	}
	return p
}

// refuse: experiments have weights here, managed routes have no form.
func refuse(s traffic.Split) string {
	s.Destinations = nil
	return objects.WeightsOnly(s)
}

// root is the Service that clients ask.
func root(t traffic.Target) string { return cmp.Or(t.Routing.SMI.RootService, t.StableService) }

// read takes every backend that is neither stable nor canary for an experiment's: the list
// is the router's own. A TrafficSplit that leads clients of another Service is not what was
// asked for, so it gets an entry that no wanted split has.
func (o Options) read(object map[string]any, t traffic.Target) traffic.Split {
	spec, _ := object["spec"].(map[string]any)
	var stable, canary int64
	var extras []traffic.Destination
	for _, b := range objects.Entries(spec["backends"]) {
		name, _ := b["service"].(string)
		parts, exact := o.parts(b["weight"])
		switch {
		case !exact: // written anew
			extras = append(extras, traffic.Destination{})
		case name == t.StableService:
			stable += parts
		case name == t.CanaryService:
			canary += parts
		default:
			extras = append(extras, traffic.Destination{Service: name, Weight: int32(parts)})
		}
	}
	if spec["service"] != root(t) {
		extras = append(extras, traffic.Destination{})
	}
	return traffic.Found(traffic.DefaultTotal, traffic.Destination{Service: t.StableService}, traffic.Destination{Service: t.CanaryService}, stable, canary, extras...)
}

// parts reads a weight: a quantity in v1alpha1, a number later.
func (o Options) parts(value any) (parts int64, exact bool) {
	text, isText := value.(string)
	if !isText {
		return traffic.Parts(value)
	}
	q, err := resource.ParseQuantity(text)
	if err != nil || o.gvk().Version != asText {
		return 0, false
	}
	return traffic.Parts(q.AsApproximateFloat64())
}

// render writes the whole list: canary, experiments, stable.
func (o Options) render(object map[string]any, t traffic.Target, s traffic.Split) {
	spec, ok := object["spec"].(map[string]any)
	if !ok {
		spec = map[string]any{}
		object["spec"] = spec
	}
	var backends []any
	add := func(service string, weight int32) {
		var w any = int64(weight)
		if o.gvk().Version == asText {
			w = strconv.Itoa(int(weight))
		}
		backends = append(backends, map[string]any{"service": service, "weight": w})
	}
	add(t.CanaryService, s.Weight(traffic.Canary))
	for _, x := range s.Extras() {
		add(x.Service, x.Weight)
	}
	add(t.StableService, s.Weight(traffic.Stable))
	spec["service"] = root(t)
	if !traffic.Same(spec["backends"], backends) {
		spec["backends"] = backends
	}
}
