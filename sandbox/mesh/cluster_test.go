package mesh

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
)

// served is a discovery client whose answers a test sets.
type served struct {
	mu        sync.Mutex
	resources map[string][]string // by group and version
}

func (s *served) ServerResourcesForGroupVersion(gv string) (*metav1.APIResourceList, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	names, found := s.resources[gv]
	if !found {
		return nil, errors.New("not found")
	}
	list := &metav1.APIResourceList{GroupVersion: gv}
	for _, n := range names {
		list.APIResources = append(list.APIResources, metav1.APIResource{Name: n})
	}
	return list, nil
}

func (s *served) set(gv string, names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resources[gv] = names
}

func custom(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := json.Unmarshal([]byte(text), &u.Object); err != nil {
		t.Fatal(err)
	}
	return u
}

const vsJSON = `{"apiVersion":"networking.istio.io/v1beta1","kind":"VirtualService","metadata":{"name":"web","namespace":"shop","uid":"1","resourceVersion":"1"},"spec":{"hosts":["web"],"http":[{"route":[{"destination":{"host":"web"},"weight":100.0}]}]}}`

// newFakeCluster runs a cluster over fake clients that hold one Service and two
// VirtualServices, one of them broken, while no custom kind is served yet.
func newFakeCluster(t *testing.T) (*cluster, *dynamicfake.FakeDynamicClient, *served) {
	t.Helper()
	w := newWorld(t).service("web", pod{name: "p1"}).apply(mainIngress)
	objects := []runtime.Object{w.Services[0], w.EndpointSlices[0], w.Pods[0], w.Ingresses[0]}
	client := fake.NewClientset(objects...)
	broken := custom(t, strings.NewReplacer(`"1"`, `"2"`, `"web"`, `"odd"`, `[{"route":[{"destination":{"host":"web"},"weight":100.0}]}]`, `"text"`).Replace(vsJSON))
	dyn := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{
		{Group: istioGroup, Version: "v1beta1", Resource: "virtualservices"}:  "VirtualServiceList",
		{Group: istioGroup, Version: "v1beta1", Resource: "destinationrules"}: "DestinationRuleList",
		httpRouteGVR: "HTTPRouteList",
		{Group: smiGroup, Version: "v1alpha2", Resource: "trafficsplits"}:       "TrafficSplitList",
		{Group: traefikGroup, Version: "v1alpha1", Resource: "ingressroutes"}:   "IngressRouteList",
		{Group: traefikGroup, Version: "v1alpha1", Resource: "traefikservices"}: "TraefikServiceList",
	}, custom(t, vsJSON), broken)
	c := newClusterFor(client, dyn, "")
	kinds := &served{resources: map[string][]string{}}
	c.discovery = kinds

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
	return c, dyn, kinds
}

func TestClusterFollowsSMIAndTraefik(t *testing.T) {
	c, dyn, kinds := newFakeCluster(t)
	<-c.Changed()
	kinds.set("split.smi-spec.io/v1alpha2", "trafficsplits")
	kinds.set("traefik.io/v1alpha1", "ingressroutes", "traefikservices")
	for i, o := range []struct{ version, kind, resource, spec string }{
		{"split.smi-spec.io/v1alpha2", "TrafficSplit", "trafficsplits", `{"service":"web","backends":[{"service":"web","weight":"1"}]}`},
		{"traefik.io/v1alpha1", "IngressRoute", "ingressroutes", `{"routes":[{"match":"Path(` + "`/`" + `)"}]}`},
		{"traefik.io/v1alpha1", "TraefikService", "traefikservices", `{"weighted":{}}`},
	} {
		gv, err := schema.ParseGroupVersion(o.version)
		if err != nil {
			t.Fatal(err)
		}
		u := custom(t, fmt.Sprintf(`{"apiVersion":%q,"kind":%q,"metadata":{"name":"web","namespace":"shop","uid":"u%d","resourceVersion":"9"},"spec":%s}`, o.version, o.kind, i, o.spec))
		if _, err := dyn.Resource(gv.WithResource(o.resource)).Namespace("shop").Create(t.Context(), u, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all are read", func() bool {
		o := c.Objects()
		return len(o.TrafficSplits) == 1 && len(o.IngressRoutes) == 1 && len(o.TraefikServices) == 1
	})
}

func TestClusterFollowsKindsThatAreInstalledLater(t *testing.T) {
	ctx := t.Context()
	c, dyn, kinds := newFakeCluster(t)
	<-c.Changed()
	o := c.Objects()
	if len(o.Services) != 1 || len(o.EndpointSlices) != 1 || len(o.Pods) != 1 || len(o.Ingresses) != 1 || len(o.VirtualServices) != 0 {
		t.Fatalf("objects before the kinds exist: %+v", o)
	}
	if d := cmp.Diff(map[string]int{"shop/web p1": 1}, send(Build(o, nil), 1, "GET", "http://web/")); d != "" {
		t.Error(d)
	}

	kinds.set("networking.istio.io/v1beta1", "virtualservices", "destinationrules")
	eventually(t, "the VirtualService is read", func() bool { return len(c.Objects().VirtualServices) == 1 })
	if got := c.Objects().Unread; len(got) != 1 || !strings.Contains(got[0], "VirtualService shop/odd") {
		t.Errorf("unread = %v, want the odd one", got)
	}

	changed := custom(t, vsJSON)
	changed.SetResourceVersion("3")
	if err := unstructured.SetNestedStringSlice(changed.Object, []string{"other"}, "spec", "hosts"); err != nil {
		t.Fatal(err)
	}
	gvr := schema.GroupVersionResource{Group: istioGroup, Version: "v1beta1", Resource: "virtualservices"}
	if _, err := dyn.Resource(gvr).Namespace("shop").Update(ctx, changed, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the change is read", func() bool { return c.Objects().VirtualServices[0].Spec.Hosts[0] == "other" })

	kinds.set("gateway.networking.k8s.io/v1", "httproutes")
	route := custom(t, `{"apiVersion":"gateway.networking.k8s.io/v1","kind":"HTTPRoute","metadata":{"name":"web","namespace":"shop","uid":"9","resourceVersion":"9"},"spec":{"parentRefs":[{"name":"gw"}]}}`)
	if _, err := dyn.Resource(httpRouteGVR).Namespace("shop").Create(ctx, route, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the HTTPRoute is read", func() bool { return len(c.Objects().HTTPRoutes) == 1 })
	read := c.Objects().HTTPRoutes[0]
	if err := c.WriteParents(ctx, &read, Build(c.Objects(), nil).reports[0].parents(metav1.Now().Time)); err != nil {
		t.Fatal(err)
	}
	// The fake client keeps the resource version, so the change is read directly.
	got, err := dyn.Resource(httpRouteGVR).Namespace("shop").Get(ctx, "web", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	parents, _, err := unstructured.NestedSlice(got.Object, "status", "parents")
	if err != nil || len(parents) != 1 || parents[0].(map[string]any)["controllerName"] != string(ControllerName) {
		t.Errorf("status.parents = %v, %v", parents, err)
	}
}
