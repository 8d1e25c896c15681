package nginx

import (
	"cmp"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/objects"
)

const (
	defaultPrefix = "nginx.ingress.kubernetes.io"
	suffix        = "-canary"
	// maxName is how much of a canary Ingress's name stands before the suffix.
	maxName = 253 - len(suffix)
	path    = "spec.strategy.canary.trafficRouting.nginx"
)

var ingress = schema.GroupVersionKind{Group: "networking.k8s.io", Version: "v1", Kind: "Ingress"}

// Options are the settings of the router; the zero value is the default.
type Options struct {
	// Settle is how long ingress-nginx may lag behind a write; default 2 s.
	Settle time.Duration
}

// New makes the router.
func New(reader client.Reader, writer client.Client, o Options) traffic.Router {
	return objects.New(reader, writer, planOf, o.Settle)
}

// Uses reports whether the rollout routes with ingress-nginx.
func Uses(r *v1alpha1.RolloutTrafficRouting) bool { return r != nil && r.Nginx != nil }

// Objects lists the stable and the canary Ingresses.
func Objects(t traffic.Target) []traffic.Ref {
	if !Uses(t.Routing) {
		return nil
	}
	return planOf(t).Refs()
}

// Kinds lists the kinds to watch for a target.
func (Options) Kinds(traffic.Target) []schema.GroupVersionKind {
	return []schema.GroupVersionKind{ingress}
}

func planOf(t traffic.Target) objects.Plan {
	p := objects.Plan{By: "with ingress-nginx", Total: traffic.DefaultTotal, Refuse: objects.WeightsOnly}
	if !Uses(t.Routing) {
		p.Problem = path + ": the rollout has no such section"
		return p
	}
	c := t.Routing.Nginx
	names := c.StableIngresses
	switch {
	case c.StableIngress != "" && len(names) > 0:
		p.Problem = path + ": name either stableIngress or stableIngresses"
	case c.StableIngress != "":
		names = []string{c.StableIngress}
	case len(names) == 0:
		p.Problem = path + ".stableIngress: name the Ingress that leads to the stable Service"
	}
	p.Problem = cmp.Or(p.Problem, objects.Two(t))
	d := desk{target: t, section: c, prefix: cmp.Or(c.AnnotationPrefix, defaultPrefix)}
	if m := t.Routing.MaxTrafficWeight; m != nil {
		p.Total, d.total = *m, m
		if *m < 1 {
			p.Problem = cmp.Or(p.Problem, fmt.Sprintf("spec.strategy.canary.trafficRouting.maxTrafficWeight: want a number above 0, got %d", *m))
		}
	}
	seen := map[string]bool{}
	for i, name := range names {
		if name == "" || seen[name] {
			p.Problem = cmp.Or(p.Problem, fmt.Sprintf("%s.stableIngresses[%d]: name each Ingress once, got %q", path, i, name))
			continue
		}
		seen[name] = true
		p.Objects = append(p.Objects,
			objects.Object{Kind: ingress, Namespace: t.Namespace, Name: name, Lost: fmt.Sprintf("error retrieving stableIngress `%s` from cache", name)},
			objects.Object{Kind: ingress, Namespace: t.Namespace, Name: canaryName(t.Name, name), Made: true})
	}
	p.Read = func(have []map[string]any) (s traffic.Split, problem string) {
		var looks []traffic.Split
		for i := 0; i < len(have); i += 2 {
			look, problem := d.read(p, i, have)
			if problem != "" {
				return traffic.Split{}, problem
			}
			looks = append(looks, look)
		}
		return traffic.Widest(looks...), ""
	}
	p.Render = func(have []map[string]any, s traffic.Split, remove bool) string {
		for i := 0; i < len(have); i += 2 {
			if problem := d.render(p, i, have, s, remove); problem != "" {
				return problem
			}
		}
		return ""
	}
	return p
}

// canaryName is the published one; of a long name the end is cut.
func canaryName(rollout, stable string) string {
	name := rollout + "-" + stable
	return name[:min(len(name), maxName)] + suffix
}
