package nginx

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/objects"
)

// The annotations of a canary Ingress, behind the prefix.
const (
	markKey   = "canary"
	weightKey = "canary-weight"
	totalKey  = "canary-weight-total"
	// classKey is how Ingresses named their class before ingressClassName.
	classKey = "kubernetes.io/ingress.class"
)

// desk has what a canary Ingress is made from beside its stable one.
type desk struct {
	target  traffic.Target
	section *v1alpha1.NginxTrafficRouting
	prefix  string
	total   *int32 // maxTrafficWeight
}

// read looks at the canary Ingress behind the stable one at i. One that is not as it would
// be written gets an entry that no wanted split has, so that it is written anew.
func (d desk) read(p objects.Plan, i int, have []map[string]any) (traffic.Split, string) {
	stable, canary := have[i], have[i+1]
	if canary == nil {
		_, problem := d.spec(p.Objects[i].Name, stable)
		return objects.Missing(p.Total, d.target), problem
	}
	if problem := d.foreign(p.Objects[i+1].Name, canary); problem != "" {
		return traffic.Split{}, problem
	}
	text := d.annotations(canary)[d.prefix+"/"+weightKey]
	weight, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		weight = 0 // ingress-nginx takes it so
	}
	weight = min(max(weight, 0), int64(p.Total))
	s := traffic.Found(p.Total, traffic.Destination{Service: d.target.StableService}, traffic.Destination{Service: d.target.CanaryService}, int64(p.Total)-weight, weight)
	wanted := runtime.DeepCopyJSON(canary)
	if problem := d.write(p.Objects[i].Name, stable, wanted, int32(weight)); problem != "" {
		return traffic.Split{}, problem
	}
	if err != nil || !traffic.Same(wanted, canary) {
		s.Destinations = append(s.Destinations, traffic.Destination{Role: traffic.Extra})
	}
	return s, ""
}

// render makes the canary Ingress, changes it, or takes it away.
func (d desk) render(p objects.Plan, i int, have []map[string]any, s traffic.Split, remove bool) string {
	at := p.Objects[i+1]
	problem := d.foreign(at.Name, have[i+1])
	switch {
	case remove && problem == "":
		have[i+1] = nil
		return ""
	case remove:
		return "" // it is not ours
	case problem != "":
		return problem
	case have[i+1] == nil:
		have[i+1] = map[string]any{"apiVersion": ingress.GroupVersion().String(), "kind": ingress.Kind, "metadata": map[string]any{
			"name": at.Name, "namespace": at.Namespace, "ownerReferences": []any{objects.Owner(d.target)}}}
	}
	return d.write(p.Objects[i].Name, have[i], have[i+1], s.Weight(traffic.Canary))
}

func (d desk) foreign(name string, canary map[string]any) string {
	if canary == nil || objects.Owned(canary, d.target) {
		return ""
	}
	return fmt.Sprintf("canary ingress `%s` controlled by different object: delete it, or rename the stable Ingress", name)
}

// write puts spec and annotations into the canary Ingress, in place.
func (d desk) write(name string, stable, canary map[string]any, weight int32) (problem string) {
	spec, problem := d.spec(name, stable)
	if problem != "" {
		return problem
	}
	if old, _ := canary["spec"].(map[string]any); !traffic.Same(old, spec) {
		canary["spec"] = spec
	}
	claim := traffic.ClaimOn(canary, d.target.Key())
	wanted := d.wanted(stable, weight)
	notes := d.annotations(canary)
	for _, key := range claim.Rules {
		if _, still := wanted[key]; !still {
			delete(notes, key)
		}
	}
	maps.Copy(notes, wanted)
	meta, _ := canary["metadata"].(map[string]any)
	list := map[string]any{}
	for k, v := range notes {
		list[k] = v
	}
	meta["annotations"] = list
	return traffic.Claim{Rules: slices.Sorted(maps.Keys(wanted))}.Put(canary, d.target.Key())
}

// wanted are the annotations that are ours: the user's, under the prefix or verbatim, the
// class of the stable Ingress, and the three that ingress-nginx asks for.
func (d desk) wanted(stable map[string]any, weight int32) map[string]string {
	out := map[string]string{}
	for k, v := range d.section.AdditionalIngressAnnotations {
		if !strings.HasPrefix(k, d.prefix) {
			k = d.prefix + "/" + k
		}
		out[k] = v
	}
	maps.Copy(out, d.section.CanaryIngressAnnotations)
	if class, found := d.annotations(stable)[classKey]; found {
		out[classKey] = class
	}
	out[d.prefix+"/"+markKey], out[d.prefix+"/"+weightKey] = "true", strconv.Itoa(int(weight))
	delete(out, d.prefix+"/"+totalKey)
	if d.total != nil {
		out[d.prefix+"/"+totalKey] = strconv.Itoa(int(*d.total))
	}
	return out
}

func (desk) annotations(object map[string]any) map[string]string {
	meta, _ := object["metadata"].(map[string]any)
	list, _ := meta["annotations"].(map[string]any)
	out := map[string]string{}
	for k, v := range list {
		out[k] = fmt.Sprint(v)
	}
	return out
}

// spec is that of the canary Ingress: class and TLS as they are, and of the rules those
// paths that lead to the stable Service.
func (d desk) spec(name string, stable map[string]any) (spec map[string]any, problem string) {
	from, _ := stable["spec"].(map[string]any)
	spec = map[string]any{}
	for _, key := range []string{"ingressClassName", "tls"} {
		if v, found := from[key]; found {
			spec[key] = runtime.DeepCopyJSONValue(v)
		}
	}
	var rules []any
	for _, rule := range objects.Entries(from["rules"]) {
		http, _ := rule["http"].(map[string]any)
		var paths []any
		for _, p := range objects.Entries(http["paths"]) {
			p = runtime.DeepCopyJSON(p)
			backend, _ := p["backend"].(map[string]any)
			service, _ := backend["service"].(map[string]any)
			if service["name"] != d.target.StableService {
				continue
			}
			service["name"] = d.target.CanaryService
			paths = append(paths, p)
		}
		if len(paths) == 0 {
			continue
		}
		out := map[string]any{"http": map[string]any{"paths": paths}}
		if host, found := rule["host"]; found {
			out["host"] = host
		}
		rules = append(rules, out)
	}
	if len(rules) == 0 {
		return nil, fmt.Sprintf("ingress `%s` has no rules using service %s backend", cmp.Or(name, "?"), d.target.StableService)
	}
	spec["rules"] = rules
	return spec, ""
}
