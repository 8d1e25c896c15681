package rollout

import (
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// maxStickiness is the longest stickiness that AWS takes, in seconds.
const maxStickiness = 604800

// routers checks the sections of the routers, in the order in which their objects are
// fetched (core.md §1.7.3).
func (p *problems) routers(tr *v1alpha1.RolloutTrafficRouting) {
	at := fullPath("canary", "trafficRouting")
	if n := tr.Nginx; n != nil {
		switch one, many := n.StableIngress != "", len(n.StableIngresses) > 0; {
		case one && many:
			p.internal(at.Child("nginx"), "Either StableIngress or StableIngresses must be configured. Both are configured.",
				"keep one of stableIngress and stableIngresses")
		case !one && !many:
			p.internal(at.Child("nginx"), "Either StableIngress or StableIngresses must be configured. Neither are configured.",
				"name an Ingress in stableIngress")
		}
	}
	if a := tr.ALB; a != nil {
		switch one, many := a.Ingress != "", len(a.Ingresses) > 0; {
		case one && many:
			p.internal(at.Child("alb"), "Either Ingress or Ingresses must be configured. Both are configured.",
				"keep one of ingress and ingresses")
		case !one && !many:
			p.internal(at.Child("alb"), "Either Ingress or Ingresses must be configured. Neither are configured.",
				"name an Ingress in ingress")
		}
		if c := a.StickinessConfig; c != nil && c.Enabled && (c.DurationSeconds < 1 || c.DurationSeconds > maxStickiness) {
			p.invalid(at.Child("alb", "stickinessConfig", "durationSeconds"), c.DurationSeconds,
				"TargetGroupStickinessConfig's duration must be between 1 and 604800 seconds (7 days)!", "give stickinessConfig a duration in this range, or disable it")
		}
	}
	if i := tr.Istio; i != nil && (i.VirtualService == nil) == (len(i.VirtualServices) == 0) {
		p.internal(at.Child("istio"), "either VirtualService or VirtualServices must be configured",
			"keep exactly one of virtualService and virtualServices")
	}
	if a := tr.Ambassador; a != nil && len(a.Mappings) == 0 {
		p.invalid(at.Child("ambassador", "mappings"), a.Mappings, "must provide at least one mapping", "name a Mapping in ambassador.mappings")
	}
	if a := tr.AppMesh; a != nil && a.VirtualService == nil {
		p.addAt(at.Child("appMesh", "virtualService").String(), field.Invalid(at.Child("appmesh", "virtualService"), a.VirtualService, "must provide virtual-service"),
			"name a VirtualService in appMesh.virtualService")
	}
}
