package istio

import (
	"context"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/objects"
)

// opening is one port of a Service.
type opening struct {
	number int64
	name   string
	target string // the containers' port, by number or by name
}

// openings reads the ports of the extra destinations' Services and of those that the canary
// destinations lead to, by full name. A Service that is not there has none. They are read
// past the cache: an experiment makes its Service shortly before.
func (r *router) openings(ctx context.Context, p plan, all map[traffic.Ref]*unstructured.Unstructured, s traffic.Split) (map[string][]opening, error) {
	found := map[string][]opening{}
	extras := s.Extras()
	if len(extras) == 0 {
		return found, nil
	}
	for _, x := range extras {
		found[x.Service+"."+p.namespace] = nil
	}
	for _, vs := range p.services {
		if u := all[vs.ref]; u != nil {
			for _, host := range p.at(vs.ref, all).canaryHosts(u.Object) {
				found[host] = nil
			}
		}
	}
	for host := range found {
		name, namespace, _ := strings.Cut(host, ".")
		if strings.Contains(namespace, ".") {
			continue // no Service of this cluster
		}
		u := &unstructured.Unstructured{}
		u.SetAPIVersion("v1")
		u.SetKind("Service")
		err := r.writer.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, u)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("get Service %s/%s: %w", namespace, name, err)
		}
		found[host] = openingsOf(u.Object)
	}
	return found, nil
}

// openingsOf lists the ports of a Service that take connections.
func openingsOf(object map[string]any) (all []opening) {
	for _, e := range objects.Entries(asMap(object["spec"])["ports"]) {
		if protocol, _ := e["protocol"].(string); protocol != "" && protocol != "TCP" {
			continue
		}
		o := opening{target: fmt.Sprint(e["targetPort"])}
		o.number, _ = traffic.Parts(e["port"])
		o.name, _ = e["name"].(string)
		if e["targetPort"] == nil {
			o.target = fmt.Sprint(o.number)
		}
		all = append(all, o)
	}
	return all
}

// canaryHosts lists the full names of the hosts of all canary destinations.
func (p place) canaryHosts(object map[string]any) (hosts []string) {
	for _, k := range []protocol{http, tls, tcp} {
		for _, route := range objects.Entries(asMap(object["spec"])[k.key]) {
			for _, r := range objects.Entries(route["route"]) {
				if d := asMap(r["destination"]); p.is(p.canary, d) {
					host, _ := d["host"].(string)
					hosts = append(hosts, full(host, p.namespace))
				}
			}
		}
	}
	return hosts
}

// port is the one of an extra destination's Service behind which the containers' port is that
// the canary destination leads to. Without a number, a sidecar takes the port that was called,
// which the Service of an experiment has only if the containers have it:
//
//	canary  80 → http (8080)     experiment  8080, 9090     ──►  8080
//
// It is not known where the Service has several ports and none of them fits.
func (p place) port(service string, canary map[string]any) (number int64, known bool) {
	ours := p.openings[service+"."+p.plan.namespace]
	if len(ours) == 1 {
		return ours[0].number, true
	}
	host, _ := canary["host"].(string)
	explicit, _ := traffic.Parts(asMap(canary["port"])["number"])
	for _, theirs := range p.openings[full(host, p.namespace)] {
		if explicit != 0 && theirs.number != explicit {
			continue
		}
		for _, o := range ours {
			if o.target == theirs.target || o.name != "" && o.name == theirs.target {
				return o.number, true
			}
		}
	}
	return 0, false
}

// destination is a new extra one, beside the canary's.
func (p place) destination(service string, canary map[string]any) map[string]any {
	host, _ := canary["host"].(string)
	d := map[string]any{"host": p.host(service, host)}
	p.lead(d, service, canary)
	return d
}

// lead points an extra destination at its port, where that is known.
func (p place) lead(destination map[string]any, service string, canary map[string]any) {
	number, known := p.port(service, canary)
	if !known {
		return
	}
	if old, exact := traffic.Parts(asMap(destination["port"])["number"]); !exact || old != number {
		destination["port"] = map[string]any{"number": number}
	}
}
