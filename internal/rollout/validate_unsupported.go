package rollout

import (
	"github.com/penstock-io/penstock/api/v1alpha1"
)

// notRun ends the text of a refusal that is not published.
const notRun = "not run by this version of Penstock"

// unsupported refuses a section of traffic routing that names no router: of one that is not
// known the API server keeps nothing, and the traffic would be led by pod counts alone.
func (p *problems) unsupported(s *v1alpha1.RolloutSpec) {
	c := s.Strategy.Canary
	if c == nil || c.TrafficRouting == nil {
		return
	}
	tr := c.TrafficRouting
	if tr.Istio == nil && tr.Nginx == nil && tr.ALB == nil && tr.SMI == nil && tr.Ambassador == nil && tr.AppMesh == nil &&
		tr.Traefik == nil && tr.Apisix == nil && len(tr.Plugins) == 0 {
		p.invalid(fullPath("canary", "trafficRouting"), "", notRun,
			"name a router: istio, nginx, alb, smi, ambassador, appMesh, traefik, apisix or a plugin")
	}
}
