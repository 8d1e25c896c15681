package gatewayapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/objects"
)

// PluginName is the key under trafficRouting.plugins by which a rollout asks for this router.
const PluginName = "argoproj-labs/gatewayAPI"

const (
	group           = "gateway.networking.k8s.io"
	kindRoute       = "HTTPRoute"
	defaultLabelKey = "rollouts.argoproj.io/gatewayapi-canary"
	labelValue      = "in-progress"
	// maxWeight is the largest weight that the Gateway API takes.
	maxWeight = 1_000_000
	// path is where the section of a Rollout begins.
	path = `spec.strategy.canary.trafficRouting.plugins["` + PluginName + `"]`
)

// config is the published section of the rollout. Unknown keys are left alone, as the
// published router leaves them.
type config struct {
	HTTPRoute  string `json:"httpRoute"`
	HTTPRoutes []struct {
		Name            string `json:"name"`
		UseHeaderRoutes bool   `json:"useHeaderRoutes"`
	} `json:"httpRoutes"`
	HTTPRouteSelector      *metav1.LabelSelector `json:"httpRouteSelector"`
	Namespace              string                `json:"namespace"`
	DisableInProgressLabel bool                  `json:"disableInProgressLabel"`
	InProgressLabelKey     string                `json:"inProgressLabelKey"`
}

// plan is a Target, looked at with the eyes of the Gateway API.
type plan struct {
	name, namespace string // the Rollout's
	stable, canary  string // Services
	total           int32
	routes          []traffic.Ref // by name, without doubles
	selector        labels.Selector
	routeNamespace  string
	headers         []traffic.Ref // routes that take header routes
	managed         []v1alpha1.MangedRoutes
	labelKey        string // "" when the label is switched off
	problem         string
}

// Uses reports whether the rollout routes with the Gateway API.
func Uses(r *v1alpha1.RolloutTrafficRouting) bool {
	if r == nil {
		return false
	}
	_, found := r.Plugins[PluginName]
	return found
}

// Objects lists the HTTPRoutes that the target names, so that a change of one of them can
// wake the rollout. Those that a selector finds are known only after a look at the cluster:
// for these there is one Ref without a name.
func Objects(t traffic.Target) []traffic.Ref {
	if !Uses(t.Routing) {
		return nil
	}
	p := planOf(t)
	if p.selector != nil {
		return append(p.routes, p.ref(""))
	}
	return p.routes
}

// Kinds lists the kinds to watch for a target.
func (Options) Kinds(traffic.Target) []schema.GroupVersionKind {
	return []schema.GroupVersionKind{routeKind}
}

var routeKind = schema.GroupVersionKind{Group: group, Version: "v1", Kind: kindRoute}

func planOf(t traffic.Target) plan {
	p := plan{
		name: t.Name, namespace: t.Namespace, stable: t.StableService, canary: t.CanaryService,
		total: traffic.DefaultTotal,
	}
	if !Uses(t.Routing) {
		p.problem = path + ": the rollout has no such section"
		return p
	}
	if m := t.Routing.MaxTrafficWeight; m != nil {
		p.total = *m
	}
	p.managed = t.Routing.ManagedRoutes
	c, problem := parse(t.Routing.Plugins[PluginName])
	if problem != "" {
		p.problem = problem
		return p
	}
	p.take(c)
	switch {
	case p.problem != "":
	case objects.Two(t) != "":
		p.problem = objects.Two(t)
	case p.total < 1 || p.total > maxWeight:
		p.problem = fmt.Sprintf("spec.strategy.canary.trafficRouting.maxTrafficWeight: %d is out of range, an HTTPRoute takes weights of 1 to %d",
			p.total, maxWeight)
	}
	return p
}

// take fills the plan from the section.
func (p *plan) take(c config) {
	p.routeNamespace = c.Namespace
	if p.routeNamespace == "" {
		p.routeNamespace = p.namespace
	}
	if !c.DisableInProgressLabel {
		p.labelKey = c.InProgressLabelKey
		if p.labelKey == "" {
			p.labelKey = defaultLabelKey
		}
	}
	var names []string
	if c.HTTPRoute != "" {
		names = append(names, c.HTTPRoute)
		p.headers = append(p.headers, p.ref(c.HTTPRoute))
	}
	for i, r := range c.HTTPRoutes {
		if r.Name == "" && p.problem == "" {
			p.problem = fmt.Sprintf("%s.httpRoutes[%d].name: name the HTTPRoute", path, i)
		}
		names = append(names, r.Name)
		if r.UseHeaderRoutes {
			p.headers = append(p.headers, p.ref(r.Name))
		}
	}
	for _, n := range names {
		if ref := p.ref(n); n != "" && !slices.Contains(p.routes, ref) {
			p.routes = append(p.routes, ref)
		}
	}
	if c.HTTPRouteSelector != nil {
		s, err := metav1.LabelSelectorAsSelector(c.HTTPRouteSelector)
		if err != nil && p.problem == "" {
			p.problem = fmt.Sprintf("%s.httpRouteSelector: %v", path, err)
		}
		p.selector = s
	}
	if len(p.routes) == 0 && p.selector == nil && p.problem == "" {
		p.problem = path + ": No routes configured. At least one of httpRoute, httpRoutes or httpRouteSelector must be set"
	}
}

// key is under which the rollout's claims stand.
func (p plan) key() string { return traffic.Target{Namespace: p.namespace, Name: p.name}.Key() }

// headersOn reports whether the HTTPRoute takes header routes. The section says so for
// each route that it names; a route that a selector finds takes none.
func (p plan) headersOn(object map[string]any) bool {
	name, _, _ := unstructured.NestedString(object, "metadata", "name")
	return slices.Contains(p.headers, p.ref(name))
}

func (p *plan) ref(name string) traffic.Ref {
	return traffic.Ref{Group: group, Kind: kindRoute, Namespace: p.routeNamespace, Name: name}
}

// parse decodes the section, or says where it is wrong.
func parse(raw []byte) (c config, problem string) {
	var others map[string]json.RawMessage
	err := json.Unmarshal(raw, &others)
	if err == nil {
		err = json.Unmarshal(raw, &c)
	}
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong) && wrong.Field != "":
		return config{}, fmt.Sprintf("%s.%s: want %s, got a JSON %s", path, wrong.Field, wrong.Type, wrong.Value)
	case err != nil:
		return config{}, fmt.Sprintf("%s: %v", path, err)
	}
	for _, kind := range []string{"grpcRoute", "tcpRoute", "tlsRoute"} {
		for _, key := range []string{kind, kind + "s", kind + "Selector"} {
			v := strings.TrimSpace(string(others[key]))
			if !slices.Contains([]string{"", "null", `""`, "[]"}, v) {
				return config{}, fmt.Sprintf("%s.%s: this build routes HTTPRoutes only; use httpRoute, httpRoutes or httpRouteSelector", path, key)
			}
		}
	}
	return c, ""
}
