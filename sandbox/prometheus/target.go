package prometheus

import (
	"cmp"
	"context"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/util/strutil"
)

// Target is one thing to scrape. Targets whose address is not loopback are left
// out, and so are all but one of those with the same address and labels.
type Target struct {
	// Addr is host:port.
	Addr string
	// Path is where the metrics are; empty means /metrics.
	Path string
	// Labels are given to every series. Their names may be those of Kubernetes
	// labels: what Prometheus does not allow becomes "_", so that
	// rollouts-pod-template-hash is rollouts_pod_template_hash.
	Labels map[string]string
}

// followTargets hands the targets to the scrape manager whenever they changed.
func (s *Server) followTargets(ctx context.Context, sets chan<- map[string][]*targetgroup.Group) {
	ticker := time.NewTicker(min(s.options.ScrapeInterval, time.Second))
	defer ticker.Stop()
	var last []model.LabelSet
	for first := true; ; first = false {
		now := labelSets(s.options.Targets())
		if first || !reflect.DeepEqual(now, last) {
			last = now
			select {
			case sets <- map[string][]*targetgroup.Group{job: {{Source: job, Targets: now}}}:
			case <-ctx.Done():
				return
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// labelSets are the targets in a fixed order, as Prometheus wants them.
func labelSets(targets []Target) []model.LabelSet {
	sets := make([]model.LabelSet, 0, len(targets))
	for _, t := range targets {
		if !loopback(t.Addr) {
			continue
		}
		set := model.LabelSet{}
		// In the order of names: of two that become one, the later wins always.
		for _, name := range slices.Sorted(maps.Keys(t.Labels)) {
			if clean := strutil.SanitizeLabelName(name); clean != "" {
				set[model.LabelName(clean)] = model.LabelValue(t.Labels[name])
			}
		}
		set[model.AddressLabel] = model.LabelValue(t.Addr)
		if t.Path != "" {
			set[model.MetricsPathLabel] = model.LabelValue(t.Path)
		}
		sets = append(sets, set)
	}
	slices.SortFunc(sets, func(a, b model.LabelSet) int { return cmp.Compare(a.String(), b.String()) })
	return sets
}
