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
		p.refuse(specPath.Child("workloadRef"), w.Name)
	}
	if b := s.Strategy.BlueGreen; b != nil {
		p.refuse(full("blueGreen"), b.ActiveService)
	}
	c := s.Strategy.Canary
	if c == nil {
		return
	}
	for i := range c.Steps {
		p.unsupportedStep(&c.Steps[i], full("canary", "steps").Index(i))
	}
	if c.DynamicStableScale {
		p.refuse(full("canary", "dynamicStableScale"), true)
	}
	if c.PingPong != nil {
		p.refuse(full("canary", "pingPong"), c.PingPong.PingService)
	}
	if c.TrafficRouting != nil {
		p.unsupportedRouters(c.TrafficRouting, full("canary", "trafficRouting"))
	}
}

func (p *problems) unsupportedStep(s *v1alpha1.CanaryStep, at *field.Path) {
	if s.Experiment != nil {
		p.refuse(at.Child("experiment"), "")
	}
	if s.Plugin != nil {
		p.refuse(at.Child("plugin"), s.Plugin.Name)
	}
	if s.SetHeaderRoute != nil {
		p.refuse(at.Child("setHeaderRoute"), s.SetHeaderRoute.Name)
	}
	if s.SetMirrorRoute != nil {
		p.refuse(at.Child("setMirrorRoute"), s.SetMirrorRoute.Name)
	}
}

func (p *problems) unsupportedRouters(tr *v1alpha1.RolloutTrafficRouting, at *field.Path) {
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
			p.refuse(at.Child(r.name), r.name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(tr.Plugins)) {
		if name != gatewayPlugin {
			p.refuse(at.Child("plugins").Key(name), name)
		}
	}
	_, gateway := tr.Plugins[gatewayPlugin]
	switch istio := tr.Istio != nil; {
	case istio && gateway:
		p.refuse(at, "istio, "+gatewayPlugin)
	case !istio && !gateway:
		p.refuse(at, "")
	}
}

func (p *problems) refuse(at *field.Path, value any) {
	p.invalid(at, value, notRun, "remove it; Penstock's documentation lists what each version runs")
}
