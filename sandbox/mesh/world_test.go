package mesh

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"
)

// world builds Objects for tests; everything is in the namespace shop.
type world struct {
	t *testing.T
	Objects
}

func newWorld(t *testing.T) *world { return &world{t: t} }

// apply adds routes written as YAML documents.
func (w *world) apply(documents string) *world {
	w.t.Helper()
	for i, doc := range strings.Split(documents, "\n---\n") {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(doc), &u.Object); err != nil {
			w.t.Fatalf("%v in\n%s", err, doc)
		}
		if u.GetNamespace() == "" {
			u.SetNamespace("shop")
		}
		if u.GetResourceVersion() == "" {
			u.SetResourceVersion(fmt.Sprint(100 + i))
		}
		var err error
		switch u.GetKind() {
		case "VirtualService":
			err = into(&w.VirtualServices, u)
		case "DestinationRule":
			err = into(&w.DestinationRules, u)
		case "HTTPRoute":
			err = into(&w.HTTPRoutes, u)
		case "Ingress":
			err = into(&w.Ingresses, u)
		case "TrafficSplit":
			err = into(&w.TrafficSplits, u)
		case "IngressRoute":
			err = into(&w.IngressRoutes, u)
		case "TraefikService":
			err = into(&w.TraefikServices, u)
		default:
			err = fmt.Errorf("kind %q is unknown", u.GetKind())
		}
		if err != nil {
			w.t.Fatalf("%v in\n%s", err, doc)
		}
	}
	return w
}

func into[T any](list *[]T, u *unstructured.Unstructured) error {
	o, err := decode[T](u)
	*list = append(*list, o)
	return err
}

type pod struct {
	name, hash, version string
	notReady            bool
}

// service adds a Service with port 80 to port 8080 of pods.
func (w *world) service(name string, pods ...pod) *world {
	return w.serviceIn("shop", name, pods...)
}

func (w *world) serviceIn(namespace, name string, pods ...pod) *world {
	w.Services = append(w.Services, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, ResourceVersion: "7"},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: 80}}},
	})
	port, portName := int32(8080), "http"
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: namespace, Name: name + "-1", Labels: map[string]string{discoveryv1.LabelServiceName: name}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: &portName, Port: &port}},
	}
	for _, p := range pods {
		ready := !p.notReady
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
			Addresses:  []string{"ip-" + p.name},
			Conditions: discoveryv1.EndpointConditions{Ready: &ready},
			TargetRef:  &corev1.ObjectReference{Kind: "Pod", Name: p.name},
		})
		w.Pods = append(w.Pods, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: p.name,
			Labels: map[string]string{"app": "web", labelHash: p.hash, "version": p.version},
		}})
	}
	w.EndpointSlices = append(w.EndpointSlices, slice)
	return w
}

// memorySource is a Source that a test sets.
type memorySource struct {
	mu      sync.Mutex
	objects Objects
	changed chan struct{}
	written []gatewayv1.HTTPRoute
	nextErr error
}

func newMemorySource() *memorySource { return &memorySource{changed: make(chan struct{}, 1)} }

func (s *memorySource) Run(ctx context.Context) error { <-ctx.Done(); return nil }
func (s *memorySource) Changed() <-chan struct{}      { return s.changed }

func (s *memorySource) Objects() Objects {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objects
}

func (s *memorySource) set(o Objects) {
	s.mu.Lock()
	s.objects = o
	s.mu.Unlock()
	signal(s.changed)
}

// WriteParents keeps the status as the API server would, and fails once with nextErr.
func (s *memorySource) WriteParents(_ context.Context, r *gatewayv1.HTTPRoute, parents []gatewayv1.RouteParentStatus) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.nextErr; err != nil {
		s.nextErr = nil
		return err
	}
	written := *r.DeepCopy()
	written.Status.Parents = parents
	s.written = append(s.written, written)
	for i, old := range s.objects.HTTPRoutes {
		if old.Name == r.Name {
			routes := append([]gatewayv1.HTTPRoute(nil), s.objects.HTTPRoutes...)
			written.ResourceVersion += "+"
			routes[i] = written
			s.objects.HTTPRoutes = routes
		}
	}
	signal(s.changed)
	return nil
}

// eventually polls until a fact holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); !holds(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("in vain: %s", what)
		}
	}
}
