package rollout

import (
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// strategyPath is where published paths of strategy problems begin: they leave out the
// name of the strategy (core.md §1.7).
var strategyPath = specPath.Child("strategy")

const (
	sameServices      = "This rollout uses the same service for the stable and canary services, but two different services are required."
	sameBlueGreen     = "This rollout uses the same service for the active and preview services, but two different services are required."
	samePingPong      = "This rollout uses the same service for the ping and pong services, but two different services are required."
	limitsDisagree    = "This rollout's revision history limit can not be smaller than the rollout's scale down limit"
	servicesMissing   = "Canary service and Stable service must to be set to use Traffic Routing"
	pingPongMissing   = "Ping service and Pong service must to be set to use Ping-Pong feature"
	pingPongRouters   = "Ping-pong feature works with the ALB, Istio, and plugin-based traffic routers only"
	rootMissing       = "Root service field is required for the configuration with ALB and ping-pong feature enabled"
	onlyRoutedDelay   = "Canary scaleDownDelaySeconds can only be used with traffic routing"
	onlyRoutedDynamic = "Canary dynamicStableScale can only be used with traffic routing"
	dynamicOrDelay    = "Canary dynamicStableScale cannot be used with scaleDownDelaySeconds"
	maxWeightRouters  = "Canary maxTrafficWeight in traffic routing only supported in Nginx and Plugins"
)

func (p *problems) blueGreen(b *v1alpha1.BlueGreenStrategy, history int32) {
	if b.ActiveService == b.PreviewService {
		p.invalid(strategyPath.Child("activeService"), b.ActiveService, sameBlueGreen,
			"name two different Services in activeService and previewService")
	}
	if l := b.ScaleDownDelayRevisionLimit; l != nil && *l > history {
		p.invalid(strategyPath.Child("scaleDownDelayRevisionLimit"), *l, limitsDisagree,
			"raise spec.revisionHistoryLimit, which is 10 when not set, or lower scaleDownDelayRevisionLimit")
	}
	p.antiAffinity(b.AntiAffinity)
}

func (p *problems) antiAffinity(a *v1alpha1.AntiAffinity) {
	if a == nil {
		return
	}
	at, preferred := strategyPath.Child("antiAffinity"), a.PreferredDuringSchedulingIgnoredDuringExecution
	if (preferred == nil) == (a.RequiredDuringSchedulingIgnoredDuringExecution == nil) {
		p.invalid(at, a, "AntiAffinity must have exactly one strategy listed", "keep one of the preferred and the required form")
	}
	if preferred != nil && (preferred.Weight < 1 || preferred.Weight > 100) {
		p.addAt(p.real(at.Child("preferredDuringSchedulingIgnoredDuringExecution", "weight").String()),
			field.Invalid(at.Child("weight"), preferred.Weight, "AntiAffinity weight must be between 1-100"),
			"set the weight of the preferred form between 1 and 100")
	}
}

func (p *problems) canary(c *v1alpha1.CanaryStrategy) {
	p.antiAffinity(c.AntiAffinity)
	if zero(c.MaxSurge) && zero(c.MaxUnavailable) {
		p.invalid(strategyPath.Child("maxSurge"), c.MaxSurge, "MaxSurge and MaxUnavailable both can not be zero",
			"set one of maxSurge and maxUnavailable above 0, or leave it out for 25%")
	}
	if c.CanaryService == c.StableService && c.CanaryService != "" {
		p.invalid(strategyPath.Child("stableService"), c.StableService, sameServices,
			"name two different Services in canaryService and stableService")
	}
	if tr := c.TrafficRouting; tr != nil {
		p.pingPong(c)
		p.routing(c)
	} else {
		if c.ScaleDownDelaySeconds != nil {
			p.invalid(strategyPath.Child("scaleDownDelaySeconds"), *c.ScaleDownDelaySeconds, onlyRoutedDelay,
				"remove scaleDownDelaySeconds, or add trafficRouting")
		}
		if c.DynamicStableScale {
			p.invalid(strategyPath.Child("dynamicStableScale"), true, onlyRoutedDynamic,
				"remove dynamicStableScale, or add trafficRouting")
		}
	}
	for i := range c.Steps {
		p.step(&c.Steps[i], strategyPath.Child("steps").Index(i), c.TrafficRouting)
	}
}

// zero reads a number as published validation does: "0" and "0%" are zero, unset is
// not. That "5" counts as 5 % at run time makes no difference here (core.md §1.7.2).
func zero(v *intstr.IntOrString) bool {
	switch {
	case v == nil:
		return false
	case v.Type == intstr.Int:
		return v.IntVal == 0
	}
	n, err := strconv.Atoi(strings.TrimSuffix(v.StrVal, "%"))
	return err == nil && n == 0
}

// pingPong checks the two Services that swap roles. Without a router nothing is
// published about them.
func (p *problems) pingPong(c *v1alpha1.CanaryStrategy) {
	pp, tr := c.PingPong, c.TrafficRouting
	if pp == nil {
		return
	}
	if tr.ALB == nil && tr.Istio == nil && tr.Plugins == nil {
		p.addAt(fullPath("canary", "pingPong").String(), field.Invalid(routingPath.Child("alb"), tr.ALB, pingPongRouters),
			"remove pingPong, or use one of these routers")
	}
	ping := strategyPath.Child("pingPong", "pingService")
	if pp.PingService == "" {
		p.invalid(ping, "", pingPongMissing, "name a Service in pingPong.pingService")
	}
	if pp.PongService == "" {
		p.invalid(strategyPath.Child("pingPong", "pongService"), "", pingPongMissing, "name a Service in pingPong.pongService")
	}
	if pp.PingService == pp.PongService && pp.PingService != "" {
		p.invalid(ping, pp.PingService, samePingPong, "name two different Services in pingService and pongService")
	}
	if tr.ALB != nil && tr.ALB.RootService == "" {
		p.invalid(routingPath.Child("alb", "rootService"), "", rootMissing, "name the Service of the Ingress rule in alb.rootService")
	}
}

var routingPath = strategyPath.Child("trafficRouting")

func (p *problems) routing(c *v1alpha1.CanaryStrategy) {
	tr := c.TrafficRouting
	if needsServices(tr, c.PingPong != nil) {
		if c.StableService == "" {
			p.invalid(strategyPath.Child("stableService"), "", servicesMissing, "name a Service in stableService")
		}
		if c.CanaryService == "" {
			p.invalid(strategyPath.Child("canaryService"), "", servicesMissing, "name a Service in canaryService")
		}
	}
	if c.DynamicStableScale && c.ScaleDownDelaySeconds != nil {
		p.invalid(strategyPath.Child("dynamicStableScale"), true, dynamicOrDelay,
			"remove one of dynamicStableScale and scaleDownDelaySeconds")
	}
	if tr.MaxTrafficWeight != nil && tr.Nginx == nil && tr.Plugins == nil {
		p.invalid(routingPath.Child("maxTrafficWeight"), *tr.MaxTrafficWeight, maxWeightRouters,
			"remove maxTrafficWeight: weights of this router add up to 100")
	}
}

// needsServices reports whether a router addresses the roles by their Services.
func needsServices(tr *v1alpha1.RolloutTrafficRouting, pingPong bool) bool {
	return tr.ALB != nil && !pingPong ||
		tr.Istio != nil && tr.Istio.DestinationRule == nil && !pingPong ||
		tr.SMI != nil || tr.Apisix != nil || tr.Ambassador != nil || tr.Nginx != nil || tr.AppMesh != nil || tr.Traefik != nil
}

// fullPath is the path with the name of the strategy, as references use it (core.md §1.7.3).
func fullPath(strategy string, more ...string) *field.Path {
	return strategyPath.Child(strategy, more...)
}
