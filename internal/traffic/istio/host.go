package istio

import (
	"slices"
	"strings"

	"github.com/penstock-io/penstock/internal/traffic"
)

// place is where a destination is looked at: short host names mean the namespace of the
// VirtualService that holds them.
type place struct {
	plan
	namespace string   // of the VirtualService
	ruleHost  string   // full name of what the DestinationRule is about; "" if unknown
	claimed   []string // Services of the extra destinations that we added
}

// is reports whether the destination is the side's: by Service in host mode; by subset,
// and the host that the DestinationRule defines it for, in subset mode.
func (p place) is(d side, destination map[string]any) bool {
	host, _ := destination["host"].(string)
	if p.rule == nil {
		return host != "" && full(host, p.namespace) == full(d.service, p.plan.namespace)
	}
	subset, _ := destination["subset"].(string)
	return subset == d.subset && (p.ruleHost == "" || full(host, p.namespace) == p.ruleHost)
}

// service returns the name of the rollout's own namespace that a destination without a
// subset stands for.
func (p place) service(destination map[string]any) (name string, found bool) {
	host, _ := destination["host"].(string)
	if host == "" || destination["subset"] != nil || p.is(p.stable, destination) || p.is(p.canary, destination) {
		return "", false
	}
	name, namespace, _ := strings.Cut(full(host, p.namespace), ".")
	return name, namespace == p.plan.namespace
}

// extra reports whether the destination is an extra one of ours, and its Service.
func (p place) extra(destination map[string]any) (service string, ours bool) {
	service, found := p.service(destination)
	return service, found && p.claims(service)
}

// claims reports whether what has the name of the Service is ours.
func (p place) claims(service string) bool {
	return slices.Contains(p.claimed, service) || traffic.IsExperiment(p.name, service)
}

// host spells the Service as its neighbour on the route is spelled, so that it means the
// same namespace and cluster domain.
func (p place) host(service, neighbour string) string {
	first, rest, dotted := strings.Cut(neighbour, ".")
	if first == "" || full(neighbour, p.namespace) != full(first, p.plan.namespace) {
		return service + "." + p.plan.namespace + ".svc.cluster.local"
	}
	if !dotted {
		return service
	}
	return service + "." + rest
}

// full gives one name to the spellings of a cluster host: "web", "web.shop", "web.shop.svc"
// and "web.shop.svc.cluster.local" are all "web.shop", seen from the namespace shop. Other
// hosts, such as www.example.com, stay.
func full(host, namespace string) string {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	labels := strings.Split(host, ".")
	switch {
	case len(labels) == 1:
		return host + "." + namespace
	case len(labels) > 2 && labels[2] == "svc":
		return labels[0] + "." + labels[1]
	}
	return host
}
