package alb

import (
	"encoding/json"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/objects"
)

// byAnnotation is the name of a backend's port where the annotation of its Service says
// what is done.
const byAnnotation = "use-annotation"

// held is an Ingress with what is ours on it.
type held struct {
	object map[string]any
	// notes are its annotations, keys those of them that are ours.
	notes map[string]any
	keys  []string
	claim traffic.Claim
}

// hold looks at an Ingress, and changes nothing.
func (d desk) hold(name string, object map[string]any) (h held, problem string) {
	h.object = object
	meta, isMap := object["metadata"].(map[string]any)
	h.notes, _ = meta["annotations"].(map[string]any)
	if !isMap || meta["annotations"] != nil && h.notes == nil {
		return h, fmt.Sprintf("ingress `%s`: the annotations are not a map", name)
	}
	if h.keys, problem = listed(h.notes, d.Name); problem != "" {
		return h, fmt.Sprintf("ingress `%s`: %s", name, problem)
	}
	h.claim = traffic.ClaimOn(object, d.Key())
	if list, problem := d.routes(h.claim.Headers); problem == "" {
		for _, r := range list { // whose book somebody has taken away
			h.keys = append(h.keys, d.actions(r.service), d.conditions(r.service))
		}
		slices.Sort(h.keys)
		h.keys = slices.Compact(h.keys)
	}
	return h, ""
}

// rootless says that no path leads to the root Service, so that no share could be given.
func (h held) rootless(d desk, name string) (problem string) {
	if len(h.leading(d.root)) > 0 {
		return ""
	}
	field := ".ingress"
	if d.section.Ingress == "" {
		field = ".ingresses"
	}
	return fmt.Sprintf("%s%s: Invalid value: %q: ingress `%s` has no rules using service %s backend", path, field, name, name, d.root)
}

// paths calls do for the list of paths of each rule; it returns the new list, nil for none.
func (h held) paths(do func(list []any) []any) {
	spec, _ := h.object["spec"].(map[string]any)
	for _, rule := range objects.Entries(spec["rules"]) {
		http, _ := rule["http"].(map[string]any)
		list, _ := http["paths"].([]any)
		if changed := do(list); changed != nil {
			http["paths"] = changed
		}
	}
}

// backend is the Service that a path leads to, and the name of its port.
func backend(path any) (service, port string) {
	p, _ := path.(map[string]any)
	b, _ := p["backend"].(map[string]any)
	s, _ := b["service"].(map[string]any)
	service, _ = s["name"].(string)
	at, _ := s["port"].(map[string]any)
	port, _ = at["name"].(string)
	return service, port
}

// leading are the paths that lead to a Service.
func (h held) leading(service string) (all []map[string]any) {
	h.paths(func(list []any) []any {
		for _, p := range objects.Entries(list) {
			if name, _ := backend(p); name == service && name != "" {
				all = append(all, p)
			}
		}
		return nil
	})
	return all
}

// routed are the names of our header routes, read from the annotations.
func (h held) routed() (names []string) {
	for _, key := range h.keys {
		if name, is := service(key, "conditions."); is {
			names = append(names, name)
		}
	}
	return names
}

// strangers are header routes that nothing but the book tells of, as those of the published
// controller: they count as routes that send traffic, until they are written anew.
func (h held) strangers(d desk) (list []v1alpha1.SetHeaderRoute) {
	known, _ := d.routes(h.claim.Headers)
	for _, name := range h.routed() {
		if !slices.ContainsFunc(known, func(r route) bool { return r.service == name }) {
			list = append(list, traffic.Broken(name))
		}
	}
	return list
}

// free says which annotation of a header route is somebody else's.
func (h held) free(d desk, list []route) (problem string) {
	for _, r := range list {
		for _, key := range []string{d.actions(r.service), d.conditions(r.service)} {
			if _, there := h.notes[key]; there && !slices.Contains(h.keys, key) {
				return fmt.Sprintf("annotation %s is somebody else's: remove it, or name the managed route otherwise", key)
			}
		}
	}
	return ""
}

// set writes the annotations of a split and returns their keys.
func (h *held) set(d desk, s traffic.Split, list []route) (keys []string) {
	if h.notes == nil {
		h.notes = map[string]any{}
	}
	key := d.actions(d.root)
	keys = append(keys, key)
	write(h.notes, key, d.shares(s))
	for _, r := range list {
		action, conditions := d.actions(r.service), d.conditions(r.service)
		keys = append(keys, action, conditions)
		write(h.notes, action, to(d.target(d.CanaryService, traffic.DefaultTotal)))
		write(h.notes, conditions, r.conditions)
	}
	return keys
}

// lead makes the paths of our header routes what the list says: in each rule, before
// everything else, a copy of each path that leads to the root Service.
//
// A copy, and not one path for all: the load balancer's controller puts exact paths first,
// then prefixes by length and then the others, so a `/*` never comes before a prefix; and
// who asks for another Service of the same host is not sent to the canary.
func (h held) lead(root string, list []route) {
	former := h.routed()
	h.paths(func(all []any) []any {
		rest := slices.DeleteFunc(slices.Clone(all), func(p any) bool {
			name, port := backend(p)
			return port == byAnnotation && slices.Contains(former, name)
		})
		var front []any
		for _, r := range list {
			for _, p := range objects.Entries(rest) {
				if name, _ := backend(p); name != root {
					continue
				}
				p = runtime.DeepCopyJSON(p)
				p["backend"] = map[string]any{"service": map[string]any{"name": r.service, "port": map[string]any{"name": byAnnotation}}}
				front = append(front, p)
			}
		}
		if len(front) == 0 && len(rest) == len(all) {
			return nil
		}
		return append(front, rest...)
	})
}

// letGo is about the annotations that were ours and are not wanted any more. They go; but an
// action that a path still leads to sends everything to its own Service, because without it
// the load balancer's controller does nothing at all.
func (h held) letGo(wanted []string, fallback port) {
	for _, key := range h.keys {
		if slices.Contains(wanted, key) {
			continue
		}
		name, acts := service(key, "actions.")
		if _, condition := service(key, "conditions."); !acts && !condition {
			continue // nobody's, and not written by any version
		}
		if !acts || len(h.leading(name)) == 0 {
			delete(h.notes, key)
			continue
		}
		var a action
		text, _ := h.notes[key].(string)
		at := fallback
		if json.Unmarshal([]byte(text), &a) == nil && len(a.ForwardConfig.TargetGroups) > 0 {
			at = a.ForwardConfig.TargetGroups[0].ServicePort
		}
		if at != "" {
			all := int64(traffic.DefaultTotal)
			write(h.notes, key, to(target{ServiceName: name, ServicePort: at, Weight: &all}))
		}
	}
}

// finish lets go of what is not wanted any more, and writes down what is ours now.
func (h held) finish(d desk, keys []string, list []route, headers []v1alpha1.SetHeaderRoute) (problem string) {
	h.lead(d.root, list)
	h.letGo(keys, d.port)
	enter(h.notes, d.Name, keys)
	meta, _ := h.object["metadata"].(map[string]any)
	if meta["annotations"] = h.notes; len(h.notes) == 0 {
		delete(meta, "annotations")
	}
	return traffic.Claim{Headers: headers}.Put(h.object, d.Key())
}
