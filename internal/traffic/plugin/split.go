package plugin

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/plugin/v2/wire"
)

// maxEntries bounds the lists of a split that a plugin tells of.
const maxEntries = 1000

// plain is a split as a router reads it back: extra destinations are known by their Services,
// and the others by their hashes only where the plugin leads to revisions.
func plain(s traffic.Split, pinned bool) traffic.Split {
	s.Destinations = slices.Clone(s.Destinations)
	for i := range s.Destinations {
		if d := &s.Destinations[i]; !pinned || d.Role == traffic.Extra {
			d.Hash = ""
		}
	}
	return s
}

// wireSplit is a split as a plugin gets it.
func wireSplit(s traffic.Split) (*wire.Split, error) {
	out := &wire.Split{Total: s.Total}
	for _, d := range s.Destinations {
		out.Destinations = append(out.Destinations, &wire.Destination{Role: string(d.Role), Service: d.Service, Hash: d.Hash, Weight: d.Weight})
	}
	for _, h := range s.Headers {
		raw, err := json.Marshal(h)
		if err != nil {
			return nil, fmt.Errorf("write the header route %q as JSON: %w", h.Name, err)
		}
		out.Headers = append(out.Headers, raw)
	}
	for _, m := range s.Mirrors {
		raw, err := json.Marshal(m)
		if err != nil {
			return nil, fmt.Errorf("write the mirror route %q as JSON: %w", m.Name, err)
		}
		out.Mirrors = append(out.Mirrors, raw)
	}
	return out, nil
}

// readSplit is the split that a plugin tells of, whatever its weights. One without
// destinations means that nothing is written yet: all goes to stable, and an entry that no
// wanted split has makes it be written.
func readSplit(t traffic.Target, w *wire.Split) (s traffic.Split, err error) {
	total := t.Routing.MaxTrafficWeightOrDefault()
	roles := map[traffic.Role]*traffic.Destination{traffic.Stable: {Service: t.StableService}, traffic.Canary: {Service: t.CanaryService}}
	parts := map[traffic.Role]int64{}
	var extras []traffic.Destination
	if n := max(len(w.GetDestinations()), len(w.GetHeaders()), len(w.GetMirrors())); n > maxEntries {
		return s, fmt.Errorf("written: a list has %d entries, more than %d", n, maxEntries)
	}
	for i, d := range w.GetDestinations() {
		role := traffic.Role(d.GetRole())
		_, twice := parts[role]
		switch {
		case role == traffic.Extra:
			extras = append(extras, traffic.Destination{Service: d.GetService(), Weight: d.GetWeight()})
			continue
		case roles[role] == nil:
			return s, fmt.Errorf("written.destinations[%d].role: %q is none of Stable, Canary and Extra", i, role)
		case twice:
			return s, fmt.Errorf("written.destinations[%d].role: there is another destination of role %s", i, role)
		}
		if d.GetService() != "" {
			roles[role].Service = d.GetService()
		}
		roles[role].Hash, parts[role] = d.GetHash(), int64(d.GetWeight())
	}
	if len(w.GetDestinations()) == 0 {
		s = traffic.Two(total, 0, *roles[traffic.Stable], *roles[traffic.Canary])
		s.Destinations = append(s.Destinations, traffic.Destination{Role: traffic.Extra})
	} else {
		s = plain(traffic.Found(total, *roles[traffic.Stable], *roles[traffic.Canary], parts[traffic.Stable], parts[traffic.Canary], extras...), pinned(t))
	}
	if s.Headers, err = readAll[v1alpha1.SetHeaderRoute]("written.headers", w.GetHeaders()); err == nil {
		s.Mirrors, err = readAll[v1alpha1.SetMirrorRoute]("written.mirrors", w.GetMirrors())
	}
	return s, err
}

func readAll[R any](field string, raw [][]byte) (list []R, err error) {
	for i, text := range raw {
		var one R
		if err := json.Unmarshal(text, &one); err != nil {
			return nil, fmt.Errorf("%s[%d]: %w", field, i, err)
		}
		list = append(list, one)
	}
	return list, nil
}
