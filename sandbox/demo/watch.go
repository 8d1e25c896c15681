package demo

import (
	"context"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// Arrivals remembers when measurements first failed. Add fits
// cluster.Options.OnMeasurement.
type Arrivals struct {
	mu     sync.Mutex
	failed map[string]failure
}

type failure struct {
	metric string
	at     time.Time
}

// Add is called for every measurement.
func (a *Arrivals) Add(run, metric string, phase v1alpha1.AnalysisPhase, at time.Time) {
	if phase != v1alpha1.AnalysisPhaseFailed {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failed == nil {
		a.failed = map[string]failure{}
	}
	if _, known := a.failed[run]; !known {
		a.failed[run] = failure{metric, at}
	}
}

// of is the first failing measurement of a run.
func (a *Arrivals) of(run string) (failure, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f, ok := a.failed[run]
	return f, ok
}

// latest is the run of that prefix whose measurement failed last, or "".
func (a *Arrivals) latest(prefix string) (run string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var at time.Time
	for name, f := range a.failed {
		if strings.HasPrefix(name, prefix) && f.at.After(at) {
			run, at = name, f.at
		}
	}
	return run
}

// event is one change as a watch reports it; at is when it arrived.
type event struct {
	at      time.Time
	rollout *v1alpha1.Rollout
	run     *v1alpha1.AnalysisRun
	route   *unstructured.Unstructured
}

var routeKind = schema.GroupVersionKind{Group: "networking.istio.io", Version: "v1", Kind: "VirtualService"}

// watchAll sends the changes of Rollouts, AnalysisRuns and VirtualServices of a
// namespace, until ctx ends. Each kind has a watch of its own, so that a time of arrival
// is not delayed by another kind.
func watchAll(ctx context.Context, c client.WithWatch, namespace string) <-chan event {
	events := make(chan event, 64)
	routes := &unstructured.UnstructuredList{}
	routes.SetGroupVersionKind(routeKind.GroupVersion().WithKind(routeKind.Kind + "List"))
	for _, list := range []client.ObjectList{&v1alpha1.RolloutList{}, &v1alpha1.AnalysisRunList{}, routes} {
		go follow(ctx, c, list, namespace, events)
	}
	return events
}

// follow watches one kind, again whenever the API server ends the watch.
func follow(ctx context.Context, c client.WithWatch, list client.ObjectList, namespace string, events chan<- event) {
	for ctx.Err() == nil {
		w, err := c.Watch(ctx, list, client.InNamespace(namespace))
		if err != nil {
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		for change := range w.ResultChan() {
			e := event{at: time.Now()}
			if change.Type != watch.Added && change.Type != watch.Modified {
				continue
			}
			switch o := change.Object.(type) {
			case *v1alpha1.Rollout:
				e.rollout = o
			case *v1alpha1.AnalysisRun:
				e.run = o
			case *unstructured.Unstructured:
				e.route = o
			}
			select {
			case events <- e:
			case <-ctx.Done():
			}
		}
		w.Stop()
	}
}

// canaryWeight is the weight of a host in the first route of a VirtualService.
func canaryWeight(route *unstructured.Unstructured, host string) (weight int, ok bool) {
	http, _, err := unstructured.NestedSlice(route.Object, "spec", "http")
	if err != nil || len(http) == 0 {
		return 0, false
	}
	first, is := http[0].(map[string]any)
	if !is {
		return 0, false
	}
	destinations, _, err := unstructured.NestedSlice(first, "route")
	if err != nil {
		return 0, false
	}
	for _, d := range destinations {
		destination, is := d.(map[string]any)
		if !is {
			continue
		}
		if name, _, err := unstructured.NestedString(destination, "destination", "host"); err != nil || name != host {
			continue
		}
		switch w := destination["weight"].(type) {
		case int64:
			return int(w), true
		case float64:
			return int(w), true
		case nil:
			return 0, true
		}
	}
	return 0, false
}
