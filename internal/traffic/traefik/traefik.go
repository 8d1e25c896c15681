package traefik

import (
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/objects"
)

const (
	defaultGroup   = "traefik.io"
	defaultVersion = "v1alpha1"
	kind           = "TraefikService"
	path           = "spec.strategy.canary.trafficRouting.traefik"
)

// Options are the settings of the router; the zero value is the default.
type Options struct {
	// Group and Version are those of TraefikService; default traefik.io and v1alpha1.
	Group, Version string
	// Settle is how long Traefik may lag behind a write; default 2 s.
	Settle time.Duration
}

// New makes the router.
func New(reader client.Reader, writer client.Client, o Options) traffic.Router {
	return objects.New(reader, writer, o.plan, o.Settle)
}

// Uses reports whether the rollout routes with Traefik.
func Uses(r *v1alpha1.RolloutTrafficRouting) bool { return r != nil && r.Traefik != nil }

// Objects lists the TraefikService.
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
	k := schema.GroupVersionKind{Group: defaultGroup, Version: defaultVersion, Kind: kind}
	if o.Group != "" {
		k.Group = o.Group
	}
	if o.Version != "" {
		k.Version = o.Version
	}
	return k
}

func (o Options) plan(t traffic.Target) objects.Plan {
	p := objects.Plan{By: "with Traefik", Total: traffic.DefaultTotal, Refuse: objects.WeightsOnly}
	if !Uses(t.Routing) {
		p.Problem = path + ": the rollout has no such section"
		return p
	}
	name := t.Routing.Traefik.WeightedTraefikServiceName
	if name == "" {
		p.Problem = path + ".weightedTraefikServiceName: name the TraefikService"
		return p
	}
	p.Problem = objects.Two(t)
	at := objects.Object{Kind: o.gvk(), Namespace: t.Namespace, Name: name}
	p.Objects = []objects.Object{at}
	p.Read = func(have []map[string]any) (traffic.Split, string) {
		stable, canary, problem := find(have[0], t)
		if problem != "" {
			return traffic.Split{}, at.Ref().String() + ": " + problem
		}
		s, _ := traffic.Parts(stable["weight"])
		c, _ := traffic.Parts(canary["weight"])
		return traffic.Found(p.Total, traffic.Destination{Service: t.StableService}, traffic.Destination{Service: t.CanaryService}, s, c), ""
	}
	p.Render = func(have []map[string]any, s traffic.Split, remove bool) string {
		stable, canary, problem := find(have[0], t)
		switch {
		case problem != "" && remove:
			return "" // there is nothing of ours
		case problem != "":
			return at.Ref().String() + ": " + problem
		}
		objects.Give(stable, "weight", s.Weight(traffic.Stable))
		objects.Give(canary, "weight", s.Weight(traffic.Canary))
		return ""
	}
	return p
}

// find returns the first entry of each Service.
func find(object map[string]any, t traffic.Target) (stable, canary map[string]any, problem string) {
	list, found, err := unstructured.NestedFieldNoCopy(object, "spec", "weighted", "services")
	if _, isList := list.([]any); err != nil || !found || !isList {
		return nil, nil, "spec.weighted.services was not found in traefik service manifest"
	}
	for _, e := range objects.Entries(list) {
		switch {
		case stable == nil && is(e, t, t.StableService):
			stable = e
		case canary == nil && is(e, t, t.CanaryService):
			canary = e
		}
	}
	switch {
	case canary == nil:
		return nil, nil, "traefik canary service was not found: spec.weighted.services has no entry for the Service " + t.CanaryService
	case stable == nil:
		return nil, nil, "traefik stable service was not found: spec.weighted.services has no entry for the Service " + t.StableService
	}
	return stable, canary, ""
}

// is tells our Service from a TraefikService, or a Service elsewhere, of the same name.
func is(entry map[string]any, t traffic.Target, service string) bool {
	kind, _ := entry["kind"].(string)
	namespace, _ := entry["namespace"].(string)
	return entry["name"] == service && (kind == "" || kind == "Service") && (namespace == "" || namespace == t.Namespace)
}
