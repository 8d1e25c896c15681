package kube

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic/gatewayapi"
)

// byGateway routes with the Gateway API.
func byGateway(section string) func(*v1alpha1.Rollout) {
	return func(ro *v1alpha1.Rollout) {
		ro.Spec.Strategy.Canary.TrafficRouting = &v1alpha1.RolloutTrafficRouting{
			Plugins: map[string]json.RawMessage{gatewayapi.PluginName: json.RawMessage(section)}}
	}
}

// onlyLists is a cache that can only list.
type onlyLists struct {
	cache.Cache
	client client.Client
}

func (l onlyLists) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	return l.client.List(ctx, list, opts...)
}

func TestARouteWakesWhoNamesItAndWhoMayFindIt(t *testing.T) {
	scheme, err := NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	routers := []Routing{{Name: "gatewayapi", Uses: gatewayapi.Uses, Objects: gatewayapi.Objects}}
	b := fake.NewClientBuilder().WithScheme(scheme)
	for name, section := range map[string]string{
		"named":    `{"httpRoute":"web"}`,
		"both":     `{"httpRoute":"web","grpcRouteSelector":{}}`,
		"finder":   `{"httpRouteSelector":{"matchLabels":{"a":"b"}}}`,
		"far":      `{"httpRouteSelector":{},"namespace":"infra"}`,
		"tcp":      `{"tcpRoutes":[{"name":"web"}]}`,
		"unusable": `{}`,
	} {
		ro := webRollout(byGateway(section))
		ro.Name = name
		b = b.WithObjects(ro)
	}
	for _, i := range Indexes(routers) {
		b = b.WithIndex(i.Object, i.Field, i.Values)
	}
	w := NewWatcher(onlyLists{client: b.Build()}, nil, routers)
	w.queue = workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	defer w.queue.ShutDown()
	for route, want := range map[string]string{
		"HTTPRoute shop/web":  "both finder named",
		"HTTPRoute shop/api":  "finder",
		"HTTPRoute infra/web": "far",
		"GRPCRoute shop/web":  "both",
		"TCPRoute shop/web":   "tcp",
		"TCPRoute infra/web":  "",
		"TLSRoute shop/web":   "",
	} {
		kind, name, _ := strings.Cut(route, " ")
		u := virtualService()
		u.SetKind(kind)
		namespace, name, _ := strings.Cut(name, "/")
		u.SetNamespace(namespace)
		u.SetName(name)
		w.routeChanged(schema.GroupVersionKind{Group: "gateway.networking.k8s.io", Version: "v1", Kind: kind}, u)
		var woken []string
		for w.queue.Len() > 0 {
			r, _ := w.queue.Get()
			w.queue.Done(r)
			woken = append(woken, r.Name)
		}
		slices.Sort(woken)
		if got := strings.Join(woken, " "); got != want {
			t.Errorf("%s wakes %q, want %q", route, got, want)
		}
	}
}

func TestAKindThatNobodyUsesNeedNotBeServed(t *testing.T) {
	for section, c := range map[string]struct {
		asked  string
		routes string
	}{
		`{"httpRoute":"web"}`:                   {"HTTPRoute", ""},
		`{"httpRoute":"web","grpcRoute":"web"}`: {"HTTPRoute GRPCRoute", `spec.strategy.canary.trafficRouting: no matches for kind "GRPCRoute" in version "gateway.networking.k8s.io/v1"`},
		`{"httpRoute":"gone"}`:                  {"HTTPRoute", `spec.strategy.canary.trafficRouting.plugins["argoproj-labs/gatewayAPI"].httpRoute: get HTTPRoute/shop/gone: `},
	} {
		route := virtualService()
		route.SetAPIVersion("gateway.networking.k8s.io/v1")
		route.SetKind("HTTPRoute")
		route.Object["spec"] = map[string]any{"rules": []any{map[string]any{"backendRefs": []any{
			map[string]any{"name": "web-stable", "weight": int64(100)}, map[string]any{"name": "web-canary", "weight": int64(0)}}}}}
		w := newWorld(t, webRollout(byGateway(section)), service("web-stable"), service("web-canary"), route)
		w.withGateway()
		var asked []string
		w.rollouts.Watch = func(_ context.Context, kinds []schema.GroupVersionKind) error {
			for _, k := range kinds {
				asked = append(asked, k.Kind)
				if k.Kind != "HTTPRoute" {
					return &meta.NoKindMatchError{GroupKind: k.GroupKind(), SearchedVersions: []string{k.Version}}
				}
			}
			return nil
		}
		s := w.observe()
		if d := cmp.Diff(c.asked, strings.Join(asked, " ")); d != "" || !strings.HasPrefix(s.routes, c.routes) || (s.routes == "") != (c.routes == "") {
			t.Errorf("%s: routes %q, asked %s", section, s.routes, d)
		}
	}
}
