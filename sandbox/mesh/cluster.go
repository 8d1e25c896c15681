package mesh

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// lookForKinds is how often the API server is asked for kinds it did not serve
// before.
const lookForKinds = time.Second

const (
	istioGroup   = "networking.istio.io"
	smiGroup     = "split.smi-spec.io"
	traefikGroup = "traefik.io"
)

var (
	istioVersions = []string{"v1", "v1beta1", "v1alpha3"}
	smiVersions   = []string{"v1alpha1", "v1alpha2", "v1alpha3"}
	httpRouteGVR  = schema.GroupVersionResource{Group: gatewayv1.GroupName, Version: "v1", Resource: "httproutes"}
)

// customKinds are the kinds that need a CRD. Of several versions the first that
// is served is followed.
func customKinds(istio []string) []schema.GroupVersionResource {
	all := []schema.GroupVersionResource{
		httpRouteGVR,
		{Group: traefikGroup, Version: "v1alpha1", Resource: "ingressroutes"},
		{Group: traefikGroup, Version: "v1alpha1", Resource: "traefikservices"},
	}
	for _, v := range istio {
		for _, resource := range []string{"virtualservices", "destinationrules"} {
			all = append(all, schema.GroupVersionResource{Group: istioGroup, Version: v, Resource: resource})
		}
	}
	for _, v := range smiVersions {
		all = append(all, schema.GroupVersionResource{Group: smiGroup, Version: v, Resource: "trafficsplits"})
	}
	return all
}

// servedKinds is the part of a discovery client that is used.
type servedKinds interface {
	ServerResourcesForGroupVersion(groupVersion string) (*metav1.APIResourceList, error)
}

// cluster watches an API server. Kinds whose CRDs are not installed yet are
// picked up within a second of their installation.
type cluster struct {
	discovery servedKinds
	dynamic   dynamic.Interface
	core      informers.SharedInformerFactory
	custom    dynamicinformer.DynamicSharedInformerFactory
	istio     []string
	changed   chan struct{}
	complete  atomic.Bool // everything was read once

	mu       sync.Mutex
	watching map[string]cache.SharedIndexInformer // by resource: virtualservices, …
	decoded  map[types.UID]decodedObject
}

// decodedObject saves decoding what did not change.
type decodedObject struct {
	version string
	object  any
	err     error
}

func newCluster(config *rest.Config, istioVersion string) (*cluster, error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	dyn, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make dynamic client: %w", err)
	}
	return newClusterFor(client, dyn, istioVersion), nil
}

func newClusterFor(client kubernetes.Interface, dyn dynamic.Interface, istioVersion string) *cluster {
	c := &cluster{
		discovery: client.Discovery(),
		dynamic:   dyn,
		core:      informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithTransform(trim)),
		custom:    dynamicinformer.NewDynamicSharedInformerFactory(dyn, 0),
		istio:     istioVersions,
		changed:   make(chan struct{}, 1),
		watching:  map[string]cache.SharedIndexInformer{},
		decoded:   map[types.UID]decodedObject{},
	}
	if istioVersion != "" {
		c.istio = []string{istioVersion}
	}
	return c
}

// trim keeps of a pod only what routing needs.
func trim(o any) (any, error) {
	if p, isPod := o.(*corev1.Pod); isPod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
			Namespace: p.Namespace, Name: p.Name, UID: p.UID, ResourceVersion: p.ResourceVersion, Labels: p.Labels,
		}}, nil
	}
	if a, isObject := o.(metav1.Object); isObject {
		a.SetManagedFields(nil)
	}
	return o, nil
}

// Run implements Source.
func (c *cluster) Run(ctx context.Context) error {
	defer c.core.Shutdown()
	defer c.custom.Shutdown()
	for _, informer := range []cache.SharedIndexInformer{
		c.core.Core().V1().Services().Informer(),
		c.core.Core().V1().Pods().Informer(),
		c.core.Discovery().V1().EndpointSlices().Informer(),
		c.core.Networking().V1().Ingresses().Informer(),
	} {
		if err := c.listen(informer); err != nil {
			return err
		}
	}
	c.core.Start(ctx.Done())
	for kind, synced := range c.core.WaitForCacheSync(ctx.Done()) {
		if !synced && ctx.Err() == nil {
			return fmt.Errorf("read %s: cache did not fill", kind)
		}
	}
	ticker := time.NewTicker(lookForKinds)
	defer ticker.Stop()
	for all := false; ; {
		if !all {
			var err error
			if all, err = c.lookForKinds(ctx); err != nil {
				return err
			}
			c.complete.Store(true)
			signal(c.changed)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// listen makes changes known once everything was read: nobody should see half
// of the cluster at the start.
func (c *cluster) listen(informer cache.SharedIndexInformer) error {
	notify := func() {
		if c.complete.Load() {
			signal(c.changed)
		}
	}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { notify() },
		UpdateFunc: func(any, any) { notify() },
		DeleteFunc: func(any) { notify() },
	})
	if err != nil {
		return fmt.Errorf("listen for changes: %w", err)
	}
	return nil
}

// lookForKinds starts to watch kinds that are newly served and reads them. It
// tells whether all kinds are watched.
func (c *cluster) lookForKinds(ctx context.Context) (all bool, err error) {
	wanted := map[string]bool{}
	for _, gvr := range customKinds(c.istio) {
		wanted[gvr.Resource] = true
		if c.watched(gvr.Resource) != nil || !c.serves(gvr) {
			continue
		}
		informer := c.custom.ForResource(gvr).Informer()
		if err := c.listen(informer); err != nil {
			return false, err
		}
		c.custom.Start(ctx.Done())
		// The kind may vanish meanwhile; then the others must not wait for it.
		reading, cancel := context.WithTimeout(ctx, 10*time.Second)
		cache.WaitForCacheSync(reading.Done(), informer.HasSynced)
		cancel()
		c.mu.Lock()
		c.watching[gvr.Resource] = informer
		c.mu.Unlock()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.watching) == len(wanted), nil
}

func (c *cluster) watched(resource string) cache.SharedIndexInformer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.watching[resource]
}

// serves is false as well when the API server does not answer: it is asked again.
func (c *cluster) serves(gvr schema.GroupVersionResource) bool {
	list, err := c.discovery.ServerResourcesForGroupVersion(gvr.GroupVersion().String())
	if err != nil || list == nil {
		return false
	}
	for _, r := range list.APIResources {
		if r.Name == gvr.Resource {
			return true
		}
	}
	return false
}

// Changed implements Source.
func (c *cluster) Changed() <-chan struct{} { return c.changed }

// Objects implements Source.
func (c *cluster) Objects() Objects {
	o := Objects{
		Services:       listed[*corev1.Service](c.core.Core().V1().Services().Informer()),
		EndpointSlices: listed[*discoveryv1.EndpointSlice](c.core.Discovery().V1().EndpointSlices().Informer()),
		Pods:           listed[*corev1.Pod](c.core.Core().V1().Pods().Informer()),
	}
	o.Ingresses = listed[*networkingv1.Ingress](c.core.Networking().V1().Ingresses().Informer())
	c.mu.Lock()
	defer c.mu.Unlock()
	next := map[types.UID]decodedObject{}
	o.VirtualServices = decodeAll[VirtualService](c, &o, "virtualservices", next)
	o.DestinationRules = decodeAll[DestinationRule](c, &o, "destinationrules", next)
	o.HTTPRoutes = decodeAll[gatewayv1.HTTPRoute](c, &o, "httproutes", next)
	o.TrafficSplits = decodeAll[TrafficSplit](c, &o, "trafficsplits", next)
	o.IngressRoutes = decodeAll[IngressRoute](c, &o, "ingressroutes", next)
	o.TraefikServices = decodeAll[TraefikService](c, &o, "traefikservices", next)
	c.decoded = next
	return o
}

func listed[T any](informer cache.SharedIndexInformer) []T {
	items := informer.GetStore().List()
	out := make([]T, 0, len(items))
	for _, item := range items {
		if o, is := item.(T); is {
			out = append(out, o)
		}
	}
	return out
}

func decodeAll[T any](c *cluster, o *Objects, resource string, next map[types.UID]decodedObject) []T {
	informer := c.watching[resource]
	if informer == nil {
		return nil
	}
	var out []T
	for _, u := range listed[*unstructured.Unstructured](informer) {
		known, found := c.decoded[u.GetUID()]
		if !found || known.version != u.GetResourceVersion() {
			known = decodedObject{version: u.GetResourceVersion()}
			known.object, known.err = decode[T](u)
		}
		next[u.GetUID()] = known
		if object, is := known.object.(T); is && known.err == nil {
			out = append(out, object)
		} else {
			o.Unread = append(o.Unread, known.err.Error())
		}
	}
	return out
}
