package appmesh

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/objects"
)

const (
	group          = "appmesh.k8s.aws"
	defaultVersion = "v1beta2"
	path           = "spec.strategy.canary.trafficRouting.appMesh"
	hashLabel      = "rollouts-pod-template-hash"
	// The words for no revision, and for the canary where it is that of stable.
	noStable, noCanary = "stable-hash", "canary-hash"
)

// routeKinds are the kinds of a VirtualRouter's route, one of which each has.
var routeKinds = []string{"httpRoute", "tcpRoute", "http2Route", "grpcRoute"}

// Options are the settings of the router; the zero value is the default.
type Options struct {
	// Version is that of appmesh.k8s.aws; default v1beta2.
	Version string
	// Settle is how long the mesh may lag behind a write; default 2 s.
	Settle time.Duration
}

// New makes the router.
func New(reader client.Reader, writer client.Client, o Options) traffic.Router {
	return objects.New(reader, writer, o.plan, o.Settle)
}

// Uses reports whether the rollout routes with App Mesh.
func Uses(r *v1alpha1.RolloutTrafficRouting) bool { return r != nil && r.AppMesh != nil }

// Objects lists the VirtualService and the VirtualNodes, and any VirtualRouter.
func (o Options) Objects(t traffic.Target) []traffic.Ref {
	if !Uses(t.Routing) {
		return nil
	}
	refs := o.plan(t).Refs()
	return append(refs, traffic.Ref{Group: group, Kind: "VirtualRouter", Namespace: t.Namespace})
}

// Kinds lists the kinds to watch for a target.
func (o Options) Kinds(traffic.Target) []schema.GroupVersionKind {
	return []schema.GroupVersionKind{o.gvk("VirtualService"), o.gvk("VirtualNode"), o.gvk("VirtualRouter")}
}

func (o Options) gvk(kind string) schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: group, Version: cmp.Or(o.Version, defaultVersion), Kind: kind}
}

// nodes are the names of the two VirtualNodes.
func nodes(c *v1alpha1.AppMeshTrafficRouting) (stable, canary string) {
	if g := c.VirtualNodeGroup; g != nil {
		if g.StableVirtualNodeRef != nil {
			stable = g.StableVirtualNodeRef.Name
		}
		if g.CanaryVirtualNodeRef != nil {
			canary = g.CanaryVirtualNodeRef.Name
		}
	}
	return stable, canary
}

func (o Options) plan(t traffic.Target) objects.Plan {
	p := objects.Plan{By: "with App Mesh", Total: traffic.DefaultTotal, Refuse: objects.WeightsOnly, Pinned: true}
	if !Uses(t.Routing) {
		p.Problem = path + ": the rollout has no such section"
		return p
	}
	c := t.Routing.AppMesh
	stable, canary := nodes(c)
	switch {
	case c.VirtualService == nil || c.VirtualService.Name == "":
		p.Problem = path + ".virtualService: must provide virtual-service"
	case stable == "" || canary == "":
		p.Problem = path + ".virtualNodeGroup: name a VirtualNode in stableVirtualNodeRef and in canaryVirtualNodeRef"
	case stable == canary:
		p.Problem = fmt.Sprintf("%s.virtualNodeGroup: Invalid value: %q: name two different VirtualNodes", path, stable)
	}
	if p.Problem != "" {
		return p
	}
	at := func(kind, namespace, name string) objects.Object {
		return objects.Object{Kind: o.gvk(kind), Namespace: namespace, Name: name}
	}
	p.Objects = []objects.Object{at("VirtualService", t.Namespace, c.VirtualService.Name), at("VirtualNode", t.Namespace, stable), at("VirtualNode", t.Namespace, canary)}
	p.More = func(have []map[string]any) ([]objects.Object, string) {
		if have[0] == nil {
			return nil, ""
		}
		ref := child(have[0], "spec", "provider", "virtualRouter", "virtualRouterRef")
		name, _ := ref["name"].(string)
		if name == "" {
			return nil, fmt.Sprintf("%s: spec.provider.virtualRouter.virtualRouterRef.name: the VirtualService leads to no VirtualRouter", p.Objects[0].Ref())
		}
		namespace, _ := ref["namespace"].(string)
		router := at("VirtualRouter", cmp.Or(namespace, t.Namespace), name)
		router.Lost = fmt.Sprintf("%s: spec.provider.virtualRouter.virtualRouterRef", p.Objects[0].Ref())
		return []objects.Object{router}, ""
	}
	d := desk{target: t, stable: stable, canary: canary, routes: c.VirtualService.Routes}
	p.Read = d.read
	p.Render = d.render
	return p
}

// desk is a Target, looked at with the eyes of App Mesh.
type desk struct {
	target         traffic.Target
	stable, canary string // VirtualNodes
	routes         []string
}

// read tells the split of a VirtualService, the nodes of stable and canary, and the router.
func (d desk) read(have []map[string]any) (traffic.Split, string) {
	if problem := cmp.Or(selects(have[1]), selects(have[2])); problem != "" {
		return traffic.Split{}, problem
	}
	stable, canary := hashOf(have[1]), hashOf(have[2])
	if stable == noStable {
		stable = ""
	}
	if canary == noCanary {
		canary = stable
	}
	routes, problem := d.targets(have[3])
	if problem != "" {
		return traffic.Split{}, problem
	}
	looks := make([]traffic.Split, len(routes))
	for i, r := range routes {
		s, _ := traffic.Parts(r.stable["weight"])
		c, _ := traffic.Parts(r.canary["weight"])
		looks[i] = traffic.Found(traffic.DefaultTotal, traffic.Destination{Service: d.target.StableService, Hash: stable},
			traffic.Destination{Service: d.target.CanaryService, Hash: canary}, s, c)
	}
	return traffic.Widest(looks...), ""
}

// render writes weights and revisions; to remove is to give everything to stable, and to
// take our label off the nodes.
func (d desk) render(have []map[string]any, s traffic.Split, remove bool) string {
	if len(have) > 3 && have[3] != nil {
		routes, problem := d.targets(have[3])
		if problem != "" && !remove {
			return problem
		}
		for _, r := range routes {
			objects.Give(r.stable, "weight", s.Weight(traffic.Stable))
			objects.Give(r.canary, "weight", s.Weight(traffic.Canary))
		}
	}
	if remove {
		forget(have[1])
		forget(have[2])
		return ""
	}
	st, _ := s.Of(traffic.Stable)
	ca, _ := s.Of(traffic.Canary)
	if st.Hash == "" && ca.Hash == "" {
		forget(have[1])
		forget(have[2])
		return ""
	}
	stable, canary := cmp.Or(st.Hash, noStable), ca.Hash
	if canary == "" || canary == stable {
		canary = noCanary
	}
	return cmp.Or(pin(have[1], stable), pin(have[2], canary))
}

// pair are the two weighted targets of one route.
type pair struct{ stable, canary map[string]any }

// targets finds the weighted targets of every route that the rollout names, or of all.
func (d desk) targets(router map[string]any) (list []pair, problem string) {
	meta, _ := router["metadata"].(map[string]any)
	name, _ := meta["name"].(string)
	routes := objects.Entries(child(router, "spec")["routes"])
	if len(routes) == 0 {
		return nil, fmt.Sprintf("No routes defined for AppMesh virtual-router %s", name)
	}
	missing := slices.Clone(d.routes)
	for _, r := range routes {
		called, _ := r["name"].(string)
		if len(d.routes) > 0 && !slices.Contains(d.routes, called) {
			continue
		}
		missing = slices.DeleteFunc(missing, func(n string) bool { return n == called })
		p, problem := d.pair(name, called, r)
		if problem != "" {
			return nil, problem
		}
		list = append(list, p)
	}
	if len(missing) > 0 {
		return nil, fmt.Sprintf("%s.virtualService.routes: AppMesh virtual-router %s has no route %s", path, name, strings.Join(missing, ", "))
	}
	return list, ""
}

func (d desk) pair(router, route string, r map[string]any) (p pair, problem string) {
	var all []map[string]any
	for _, kind := range routeKinds {
		if k, is := r[kind].(map[string]any); is {
			all = objects.Entries(child(k, "action")["weightedTargets"])
		}
	}
	if len(all) != 2 {
		return p, fmt.Sprintf("Invalid number of weightedTargets (%d) for AppMesh virtual-router %s and route %s, expected 2", len(all), router, route)
	}
	for _, target := range all {
		switch child(target, "virtualNodeRef")["name"] {
		case d.stable:
			p.stable = target
		case d.canary:
			p.canary = target
		}
	}
	if p.stable == nil || p.canary == nil {
		return p, fmt.Sprintf("AppMesh virtual-router %s, route %s: weightedTargets: want the VirtualNodes %s and %s", router, route, d.stable, d.canary)
	}
	return p, ""
}

// child is a map within maps, nil where there is none.
func child(object map[string]any, fields ...string) map[string]any {
	for _, f := range fields {
		object, _ = object[f].(map[string]any)
	}
	return object
}

func labels(node map[string]any) map[string]any {
	return child(node, "spec", "podSelector", "matchLabels")
}

func hashOf(node map[string]any) string {
	hash, _ := labels(node)[hashLabel].(string)
	return hash
}

// selects says what is missing on a node whose revision is to be pinned.
func selects(node map[string]any) (problem string) {
	if labels(node) != nil {
		return ""
	}
	meta, _ := node["metadata"].(map[string]any)
	return fmt.Sprintf("VirtualNode %v: spec.podSelector.matchLabels: name the labels of the rollout's pods", meta["name"])
}

// forget takes our label off a node.
func forget(node map[string]any) { delete(labels(node), hashLabel) }

// pin writes our label on a node.
func pin(node map[string]any, hash string) (problem string) {
	if problem := selects(node); problem != "" {
		return problem
	}
	if list := labels(node); list[hashLabel] != hash {
		list[hashLabel] = hash
	}
	return ""
}
