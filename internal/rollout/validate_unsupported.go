package rollout

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// notRun ends the text of every refusal of this file.
const notRun = "not run by this version of Penstock"

// gatewayPlugin is the one router plugin that is built in.
const gatewayPlugin = "argoproj-labs/gatewayAPI"

// unsupported refuses what would otherwise be silently left out. A feature that is
// built loses its line here.
func (p *problems) unsupported(s *v1alpha1.RolloutSpec) {
	if w := s.WorkloadRef; w != nil {
		p.refuse(specPath.Child("workloadRef"), w.Name, "copy the pod template and the selector into the Rollout")
	}
	if b := s.Strategy.BlueGreen; b != nil {
		p.refuse(fullPath("blueGreen"), b.ActiveService, "use spec.strategy.canary")
	}
	c := s.Strategy.Canary
	if c == nil {
		return
	}
	for i := range c.Steps {
		p.unsupportedStep(&c.Steps[i], fullPath("canary", "steps").Index(i))
	}
	if c.DynamicStableScale {
		p.refuse(fullPath("canary", "dynamicStableScale"), true, "remove it")
	}
	if c.PingPong != nil {
		p.refuse(fullPath("canary", "pingPong"), c.PingPong.PingService, "name a stableService and a canaryService instead")
	}
	if c.TrafficRouting != nil {
		p.unsupportedRouters(c.TrafficRouting, fullPath("canary", "trafficRouting"))
	}
}

func (p *problems) unsupportedStep(s *v1alpha1.CanaryStep, at *field.Path) {
	if s.Experiment != nil {
		p.refuse(at.Child("experiment"), "", "remove the step")
	}
	if s.Plugin != nil {
		p.refuse(at.Child("plugin"), s.Plugin.Name, "remove the step")
	}
	if s.SetHeaderRoute != nil {
		p.refuse(at.Child("setHeaderRoute"), s.SetHeaderRoute.Name, "remove the step")
	}
	if s.SetMirrorRoute != nil {
		p.refuse(at.Child("setMirrorRoute"), s.SetMirrorRoute.Name, "remove the step")
	}
}

func (p *problems) unsupportedRouters(tr *v1alpha1.RolloutTrafficRouting, at *field.Path) {
	const mend = "use istio, or the plugin " + gatewayPlugin
	_, gateway := tr.Plugins[gatewayPlugin]
	known := tr.Istio != nil || gateway
	if tr.Istio != nil && gateway {
		p.refuse(at, "istio, "+gatewayPlugin, "use one router")
	}
	for _, r := range []struct {
		set  bool
		name string
	}{
		{tr.Nginx != nil, "nginx"},
		{tr.ALB != nil, "alb"},
		{tr.SMI != nil, "smi"},
		{tr.Ambassador != nil, "ambassador"},
		{tr.AppMesh != nil, "appMesh"},
		{tr.Traefik != nil, "traefik"},
		{tr.Apisix != nil, "apisix"},
	} {
		if r.set {
			known = true
			p.refuse(at.Child(r.name), r.name, mend)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(tr.Plugins)) {
		if name != gatewayPlugin {
			known = true
			p.refuse(at.Child("plugins").Key(name), name, mend)
		}
	}
	if !known {
		p.refuse(at, "", mend)
	}
}

func (p *problems) refuse(at *field.Path, value any, mend string) {
	p.invalid(at, value, notRun, mend)
}
