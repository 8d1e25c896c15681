package rollout

import (
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// notRun ends the text of every refusal of this file.
const notRun = "not run by this version of Penstock"

// gatewayPlugin is the one router plugin that is built in.
const gatewayPlugin = "argoproj-labs/gatewayAPI"

// unsupported refuses the routers that would otherwise be silently left out. A router
// that is built loses its line here.
func (p *problems) unsupported(s *v1alpha1.RolloutSpec) {
	if c := s.Strategy.Canary; c != nil && c.TrafficRouting != nil {
		p.unsupportedRouters(c.TrafficRouting, fullPath("canary", "trafficRouting"))
	}
}

func (p *problems) unsupportedRouters(tr *v1alpha1.RolloutTrafficRouting, at *field.Path) {
	const mend = "use istio, nginx, alb, smi, ambassador, traefik, apisix, or a plugin"
	known := len(tr.Plugins) > 0 || tr.Istio != nil || tr.Nginx != nil || tr.ALB != nil || tr.SMI != nil || tr.Ambassador != nil || tr.Traefik != nil || tr.Apisix != nil
	for _, r := range []struct {
		set  bool
		name string
	}{
		{tr.AppMesh != nil, "appMesh"},
	} {
		if r.set {
			known = true
			p.refuse(at.Child(r.name), r.name, mend)
		}
	}
	if !known {
		p.refuse(at, "", mend)
	}
}

func (p *problems) refuse(at *field.Path, value any, mend string) {
	p.invalid(at, value, notRun, mend)
}
