package istio

import "strings"

// place is where a destination is looked at: short host names mean the namespace of the
// VirtualService that holds them.
type place struct {
	plan
	namespace string // of the VirtualService
	ruleHost  string // full name of what the DestinationRule is about; "" if unknown
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
