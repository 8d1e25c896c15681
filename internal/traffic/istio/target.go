package istio

import (
	"errors"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
)

const (
	group          = "networking.istio.io"
	defaultVersion = "v1alpha3"

	kindService = "VirtualService"
	kindRule    = "DestinationRule"
)

// path is where Istio's part of a Rollout begins.
var path = field.NewPath("spec", "strategy", "canary", "trafficRouting", "istio")

// service is one VirtualService of a rollout, and which of its routes are meant.
type service struct {
	ref  traffic.Ref
	spec v1alpha1.IstioVirtualService
	path *field.Path
}

// invalid is a Problem with the VirtualService, worded as the published condition.
func (s service) invalid(text string) string {
	return field.Invalid(s.path, s.spec.Name, text).Error()
}

// plan is a Target, looked at with Istio's eyes.
type plan struct {
	name, namespace string // the Rollout's
	services        []service
	rule            *v1alpha1.IstioDestinationRule
	ruleRef         traffic.Ref
	stable, canary  side
	managed         []v1alpha1.MangedRoutes
	openings        map[string][]opening // of Services, by full name
	problem         string
}

// key is under which the rollout's claims stand.
func (p plan) key() string { return traffic.Target{Namespace: p.namespace, Name: p.name}.Key() }

// side says how to know the destination of one role.
type side struct {
	title   string // Stable or Canary, for messages
	service string // in host mode
	subset  string // in subset mode
}

// Uses reports whether the rollout routes with Istio.
func Uses(r *v1alpha1.RolloutTrafficRouting) bool { return r != nil && r.Istio != nil }

// Objects lists what the router reads and writes for the target, without doubles, so
// that a change of one of them can wake the rollout.
func Objects(t traffic.Target) []traffic.Ref {
	if !Uses(t.Routing) {
		return nil
	}
	return planOf(t).objects()
}

// Kinds lists the kinds to watch for a target, with the API version of the options. Without
// subsets that is no DestinationRule, so the cluster need not serve them.
func (o Options) Kinds(t traffic.Target) []schema.GroupVersionKind {
	list := []schema.GroupVersionKind{o.kind(kindService)}
	if Uses(t.Routing) && t.Routing.Istio.DestinationRule != nil {
		list = append(list, o.kind(kindRule))
	}
	return list
}

func (o Options) kind(kind string) schema.GroupVersionKind {
	version := o.APIVersion
	if version == "" {
		version = defaultVersion
	}
	return schema.GroupVersionKind{Group: group, Version: version, Kind: kind}
}

func planOf(t traffic.Target) plan {
	p := plan{
		name: t.Name, namespace: t.Namespace,
		stable: side{title: "Stable", service: t.StableService},
		canary: side{title: "Canary", service: t.CanaryService},
	}
	if !Uses(t.Routing) {
		p.problem = field.Required(path, "the rollout has no Istio section").Error()
		return p
	}
	p.managed = t.Routing.ManagedRoutes
	i := t.Routing.Istio
	switch {
	case (i.VirtualService == nil) == (len(i.VirtualServices) == 0):
		p.problem = field.InternalError(path, errors.New("either VirtualService or VirtualServices must be configured")).Error()
		return p
	case i.VirtualService != nil:
		p.add(*i.VirtualService, path.Child("virtualService", "name"))
	}
	for _, vs := range i.VirtualServices {
		p.add(vs, path.Child("virtualServices", "name"))
	}
	p.subsets(i.DestinationRule)
	return p
}

func (p *plan) add(vs v1alpha1.IstioVirtualService, at *field.Path) {
	name, namespace := split(vs.Name)
	if namespace == "" {
		namespace = p.namespace
	}
	if name == "" && p.problem == "" {
		p.problem = field.Required(at, "name the VirtualService").Error()
	}
	p.services = append(p.services, service{
		ref:  traffic.Ref{Group: group, Kind: kindService, Namespace: namespace, Name: name},
		spec: vs, path: at,
	})
}

// subsets sets up subset mode, or checks what host mode needs.
func (p *plan) subsets(rule *v1alpha1.IstioDestinationRule) {
	problem := ""
	switch {
	case rule == nil && (p.stable.service == "" || p.canary.service == ""):
		problem = "Canary service and Stable service must to be set to use Traffic Routing"
	case rule == nil:
	case rule.Name == "":
		problem = field.Required(path.Child("destinationRule", "name"), "name the DestinationRule").Error()
	case rule.CanarySubsetName == "" || rule.StableSubsetName == "":
		problem = field.Required(path.Child("destinationRule"), "name canarySubsetName and stableSubsetName").Error()
	case rule.CanarySubsetName == rule.StableSubsetName:
		problem = field.Invalid(path.Child("destinationRule", "canarySubsetName"), rule.CanarySubsetName,
			"is the stable subset too, but two different subsets are required").Error()
	}
	if p.problem == "" {
		p.problem = problem
	}
	if rule != nil {
		p.rule = rule
		p.ruleRef = traffic.Ref{Group: group, Kind: kindRule, Namespace: p.namespace, Name: rule.Name}
		p.stable.subset, p.canary.subset = rule.StableSubsetName, rule.CanarySubsetName
	}
}

func (p plan) objects() []traffic.Ref {
	var refs []traffic.Ref
	for _, s := range p.services {
		if s.ref.Name != "" && !slices.Contains(refs, s.ref) {
			refs = append(refs, s.ref)
		}
	}
	if p.rule != nil && p.rule.Name != "" {
		refs = append(refs, p.ruleRef)
	}
	return refs
}

// split takes "name.namespace" apart, as well as "name.namespace.svc.cluster.local". The
// namespace has no dot, a name may have some.
func split(s string) (name, namespace string) {
	if i := strings.Index(s, ".svc."); i > 0 {
		s = s[:i]
	}
	if i := strings.LastIndexByte(s, '.'); i > 0 {
		return s[:i], s[i+1:]
	}
	return s, ""
}
