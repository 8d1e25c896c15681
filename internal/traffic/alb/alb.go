package alb

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/objects"
)

const path = "spec.strategy.canary.trafficRouting.alb"

var ingress = schema.GroupVersionKind{Group: "networking.k8s.io", Version: "v1", Kind: "Ingress"}

// Options are the settings of the router; the zero value is the default.
type Options struct {
	// Settle is how long the load balancer may lag behind a write; default 2 s.
	Settle time.Duration
	// Verifier asks AWS what holds, and a split counts as followed when AWS says so; nil means
	// that Settle counts.
	Verifier *Verifier
	// Classes are the Ingress classes whose Ingresses are looked through for annotations that
	// a rollout has left behind; default alb. An Ingress that a rollout names may be of any.
	Classes []string
}

// New makes the router.
func New(reader client.Reader, writer client.Client, o Options) traffic.Router {
	v := o.Verifier
	if v == nil {
		return objects.New(reader, writer, planOf, o.Settle)
	}
	return verifying{objects.New(reader, writer, v.planOf, o.Settle), v}
}

// verifying is a router that AWS answers for.
type verifying struct {
	traffic.Router
	verifier *Verifier
}

// Apply implements traffic.Router. Whoever lets go has no more questions.
func (r verifying) Apply(ctx context.Context, t traffic.Target, s traffic.Split) (traffic.Written, error) {
	if s.IsZero() {
		r.verifier.Forget(types.NamespacedName{Namespace: t.Namespace, Name: t.Name})
	}
	return r.Router.Apply(ctx, t, s) //nolint:wrapcheck // it is the router's own
}

// planOf is the plan of a router that AWS answers for.
func (v *Verifier) planOf(t traffic.Target) objects.Plan {
	p := planOf(t)
	if p.Problem != "" {
		return p
	}
	names := make([]string, len(p.Objects))
	for i, o := range p.Objects {
		names[i] = o.Name
	}
	p.Prove = func(o *traffic.Observation, have []map[string]any) {
		settle := o.Settle
		o.Settle = unproven
		q := questionOf(deskOf(t), o.Written, names, have)
		if q == nil {
			return
		}
		proof := v.weights(types.NamespacedName{Namespace: t.Namespace, Name: t.Name}, *q)
		if o.ALBs, o.Notes, o.Confirmed = proof.ALBs, proof.Notes, proof.Holds; o.Confirmed {
			o.Settle = settle
		}
	}
	return p
}

// Uses reports whether the rollout routes with an AWS load balancer.
func Uses(r *v1alpha1.RolloutTrafficRouting) bool { return r != nil && r.ALB != nil }

// Objects lists the Ingresses.
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

// desk is a Target, looked at with the eyes of the load balancer.
type desk struct {
	traffic.Target
	section *v1alpha1.ALBTrafficRouting
	// prefix comes before the slash of the annotations, root is the Service of the action.
	prefix, root string
	port         port
}

func deskOf(t traffic.Target) desk {
	c := t.Routing.ALB
	return desk{Target: t, section: c, prefix: cmp.Or(c.AnnotationPrefix, v1alpha1.DefaultALBAnnotationPrefix),
		root: cmp.Or(c.RootService, t.StableService), port: port(strconv.Itoa(int(c.ServicePort)))}
}

func (d desk) actions(service string) string    { return d.prefix + "/actions." + service }
func (d desk) conditions(service string) string { return d.prefix + "/conditions." + service }

func planOf(t traffic.Target) objects.Plan {
	p := objects.Plan{By: "with an AWS load balancer", Total: traffic.DefaultTotal, Refuse: refuse}
	if !Uses(t.Routing) {
		p.Problem = path + ": the rollout has no such section"
		return p
	}
	d := deskOf(t)
	names := d.section.Ingresses
	switch one := d.section.Ingress; {
	case one != "" && len(names) > 0:
		p.Problem = path + ": Internal error: Either Ingress or Ingresses must be configured. Both are configured."
	case one != "":
		names = []string{one}
	case len(names) == 0:
		p.Problem = path + ": Internal error: Either Ingress or Ingresses must be configured. Neither are configured."
	}
	p.Problem = cmp.Or(p.Problem, objects.Two(t), stickinessProblem(d.section.StickinessConfig), d.clash())
	seen := map[string]bool{}
	for i, name := range names {
		if name == "" || seen[name] {
			p.Problem = cmp.Or(p.Problem, fmt.Sprintf("%s.ingresses[%d]: name each Ingress once, got %q", path, i, name))
			continue
		}
		seen[name] = true
		p.Objects = append(p.Objects, objects.Object{Kind: ingress, Namespace: t.Namespace, Name: name})
	}
	p.Read = func(have []map[string]any) (s traffic.Split, problem string) {
		looks := make([]traffic.Split, len(have))
		for i, object := range have {
			if looks[i], problem = d.read(p.Objects[i].Name, object); problem != "" {
				return traffic.Split{}, problem
			}
		}
		return traffic.Widest(looks...), ""
	}
	p.Render = func(have []map[string]any, s traffic.Split, remove bool) string {
		for i, object := range have {
			if problem := d.render(p.Objects[i].Name, object, s, remove); problem != "" {
				return problem
			}
		}
		return ""
	}
	return p
}

// clash: a managed route is known by its name among the Services of the Ingress.
func (d desk) clash() string {
	for _, m := range d.Routing.ManagedRoutes {
		if m.Name == d.root || m.Name == d.StableService || m.Name == d.CanaryService {
			return fmt.Sprintf("spec.strategy.canary.trafficRouting.managedRoutes: %q is a Service of the rollout: give the route another name", m.Name)
		}
	}
	return ""
}

// refuse: header routes and experiments have a form here, mirrors none.
func refuse(s traffic.Split) string {
	for _, h := range s.Headers {
		if _, problem := alternatives(h); problem != "" {
			return problem
		}
	}
	return objects.WeightsOnly(traffic.Split{Mirrors: s.Mirrors})
}

// read looks at one Ingress. One that is not as it would be written gets an entry that no
// wanted split has, so that it is written anew.
func (d desk) read(name string, object map[string]any) (s traffic.Split, problem string) {
	h, problem := d.hold(name, object)
	if problem != "" {
		return s, problem
	}
	text, _ := h.notes[d.actions(d.root)].(string)
	s = d.found(text)
	known := h.claim.Headers
	s.Headers = known
	probe := runtime.DeepCopyJSON(object)
	if problem := d.render(name, probe, s, false); problem != "" {
		return traffic.Split{}, problem
	}
	s.Headers = append(s.Headers[:len(known):len(known)], h.strangers(d)...)
	if !traffic.Same(probe, object) {
		s.Destinations = append(s.Destinations, traffic.Destination{Role: traffic.Extra})
	}
	return s, ""
}

// render writes a split into one Ingress, in place. To remove is to let go of everything
// that is ours, and to leave an Ingress alone on which nothing is, or on which that cannot
// be told.
func (d desk) render(name string, object map[string]any, s traffic.Split, remove bool) (problem string) {
	if object == nil {
		return ""
	}
	h, problem := d.hold(name, object)
	switch {
	case remove && (problem != "" || len(h.keys) == 0):
		return ""
	case problem != "":
		return problem
	}
	var list []route
	var keys []string
	if !remove {
		if list, problem = d.routes(s.Headers); problem != "" {
			return problem
		}
		if problem = cmp.Or(h.rootless(d, name), h.free(d, list)); problem != "" {
			return problem
		}
		keys = h.set(d, s, list)
	}
	return h.finish(d, keys, list, s.Headers)
}
