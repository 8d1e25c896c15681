package mesh

import (
	"fmt"
	"strings"
)

// Starved lists where requests to a host may go and find no pod that is ready, or nothing
// at all; nil when every request has a pod. Nobody needs to ask for it to be true.
func (t *Table) Starved(hostname string) (all []string) {
	h := t.host(strings.ToLower(hostname))
	if h == nil {
		return []string{string(NoRoute)}
	}
	for _, r := range h.routes {
		if r.target.status != 0 {
			all = append(all, fmt.Sprintf("%s: %s", r.target.name, r.target.reason))
			continue
		}
		for i, d := range r.target.destinations {
			if d.status != 0 && r.target.picker.weights[i] > 0 {
				all = append(all, fmt.Sprintf("%s: service %s, subset %q, weight %d: %s",
					r.target.name, d.service, d.subset, r.target.picker.weights[i], d.reason))
			}
		}
	}
	return all
}

// OnTable has f called with every Table from now on, when requests begin to follow it; nil
// ends that. f must be quick.
func (g *Gateway) OnTable(f func(*Table)) { g.onTable.Store(&f) }

func (g *Gateway) publish(t *Table) {
	g.table.Store(t)
	if f := g.onTable.Load(); f != nil && *f != nil {
		(*f)(t)
	}
	signal(g.published)
}
