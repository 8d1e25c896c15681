package gatewayapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/objects"
)

// PluginName is the key under trafficRouting.plugins by which a rollout asks for this router.
const PluginName = "argoproj-labs/gatewayAPI"

const (
	defaultLabelKey = "rollouts.argoproj.io/gatewayapi-canary"
	labelValue      = "in-progress"
	// maxWeight is the largest weight that the Gateway API takes.
	maxWeight = 1_000_000
	routing   = "spec.strategy.canary.trafficRouting"
	// path is where the section of a Rollout begins.
	path = routing + `.plugins["` + PluginName + `"]`
)

// config is the published section of the rollout. Unknown keys are left alone, as the
// published router leaves them.
type config struct {
	HTTPRoute              string                `json:"httpRoute"`
	HTTPRoutes             []named               `json:"httpRoutes"`
	HTTPRouteSelector      *metav1.LabelSelector `json:"httpRouteSelector"`
	GRPCRoute              string                `json:"grpcRoute"`
	GRPCRoutes             []named               `json:"grpcRoutes"`
	GRPCRouteSelector      *metav1.LabelSelector `json:"grpcRouteSelector"`
	TCPRoute               string                `json:"tcpRoute"`
	TCPRoutes              []named               `json:"tcpRoutes"`
	TCPRouteSelector       *metav1.LabelSelector `json:"tcpRouteSelector"`
	TLSRoute               string                `json:"tlsRoute"`
	TLSRoutes              []named               `json:"tlsRoutes"`
	TLSRouteSelector       *metav1.LabelSelector `json:"tlsRouteSelector"`
	Namespace              string                `json:"namespace"`
	DisableInProgressLabel bool                  `json:"disableInProgressLabel"`
	InProgressLabelKey     string                `json:"inProgressLabelKey"`
}

// plan is a Target, looked at with the eyes of the Gateway API.
type plan struct {
	name, namespace string // the Rollout's
	stable, canary  string // Services
	total           int32
	routeNamespace  string
	members         []member // routes by name, without doubles
	finders         []finder
	managed         []v1alpha1.MangedRoutes
	labelKey        string // "" when the label is switched off
	problem         string
}

// member is one route that the section names.
type member struct {
	kind    *kind
	name    string
	at      string // where the section names it
	headers bool   // whether it takes header routes
}

// finder is one selector of the section.
type finder struct {
	kind     *kind
	selector labels.Selector
	at       string // where it stands in the section
}

// Uses reports whether the rollout routes with the Gateway API.
func Uses(r *v1alpha1.RolloutTrafficRouting) bool {
	if r == nil {
		return false
	}
	_, found := r.Plugins[PluginName]
	return found
}

// Objects lists the routes that the target names, so that a change of one of them can wake
// the rollout. Those that a selector finds are known only after a look at the cluster: for
// each selector there is one Ref without a name.
func Objects(t traffic.Target) (refs []traffic.Ref) {
	if !Uses(t.Routing) {
		return nil
	}
	p := planOf(t)
	for _, m := range p.members {
		refs = append(refs, m.kind.ref(p.routeNamespace, m.name))
	}
	for _, f := range p.finders {
		refs = append(refs, f.kind.ref(p.routeNamespace, ""))
	}
	return refs
}

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
	p.wrong(objects.Two(t))
	if p.total < 1 || p.total > maxWeight {
		p.wrong(fmt.Sprintf("%s.maxTrafficWeight: %d is out of range, the Gateway API takes weights of 1 to %d", routing, p.total, maxWeight))
	}
	return p
}

// wrong keeps the first problem.
func (p *plan) wrong(problem string) {
	if p.problem == "" {
		p.problem = problem
	}
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
	var keys []string
	for _, k := range kinds {
		p.takeKind(k, k.told(c))
		keys = append(keys, k.section, k.section+"s", k.section+"Selector")
	}
	if len(p.members)+len(p.finders) == 0 {
		p.wrong(fmt.Sprintf("%s: No routes configured. At least one of %s must be set", path, words("or", keys)))
	}
}

// takeKind adds the routes of one kind. The short form is allowed beside the list, also with
// a name that stands in the list.
func (p *plan) takeKind(k *kind, t told) {
	if t.one != "" {
		p.members = append(p.members, member{kind: k, name: t.one, at: path + "." + k.section, headers: true})
	}
	listed := map[string]bool{}
	for i, n := range t.list {
		at := fmt.Sprintf("%s.%ss[%d].name", path, k.section, i)
		switch {
		case n.Name == "":
			p.wrong(at + ": name the " + k.name)
		case listed[n.Name]:
			p.wrong(fmt.Sprintf("%s: name each %s once, got %q again", at, k.name, n.Name))
		case n.Name != t.one:
			p.members = append(p.members, member{kind: k, name: n.Name, at: at, headers: n.UseHeaderRoutes})
		}
		listed[n.Name] = true
	}
	if t.selector == nil {
		return
	}
	at := path + "." + k.section + "Selector"
	s, err := metav1.LabelSelectorAsSelector(t.selector)
	if err != nil {
		p.wrong(fmt.Sprintf("%s: %v", at, err))
		return
	}
	p.finders = append(p.finders, finder{kind: k, selector: s, at: at})
}

// used lists the kinds that the section tells of, some more than once.
func (p plan) used() (list []*kind) {
	for _, m := range p.members {
		list = append(list, m.kind)
	}
	for _, f := range p.finders {
		list = append(list, f.kind)
	}
	return list
}

// includes reports whether the section names the route.
func (p plan) includes(k *kind, name string) bool {
	return slices.ContainsFunc(p.members, func(m member) bool { return m.kind == k && m.name == name })
}

// key is under which the rollout's claims stand.
func (p plan) key() string { return traffic.Target{Namespace: p.namespace, Name: p.name}.Key() }

// parse decodes the section, or says where it is wrong.
func parse(raw []byte) (c config, problem string) {
	err := json.Unmarshal(raw, &c)
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong) && wrong.Field != "":
		return config{}, fmt.Sprintf("%s.%s: want %s, got a JSON %s", path, wrong.Field, wanted(wrong.Type), wrong.Value)
	case errors.As(err, &wrong):
		return config{}, fmt.Sprintf("%s: want an object, got a JSON %s", path, wrong.Value)
	case err != nil:
		return config{}, fmt.Sprintf("%s: %v", path, err)
	}
	return c, ""
}

// wanted says what JSON a field takes.
func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Slice:
		return "a list"
	case reflect.Struct:
		return "an object"
	default:
		return t.String()
	}
}

// words joins a list as a sentence does: "a, b or c".
func words(last string, list []string) string {
	if n := len(list) - 1; n > 0 {
		return strings.Join(list[:n], ", ") + " " + last + " " + list[n]
	}
	return strings.Join(list, "")
}

func plural(sections []string) (list []string) {
	for _, s := range sections {
		list = append(list, s+"s")
	}
	return list
}
