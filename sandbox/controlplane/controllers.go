package controlplane

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/scale"
	"k8s.io/controller-manager/pkg/informerfactory"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/controller/clusterroleaggregation"
	"k8s.io/kubernetes/pkg/controller/deployment"
	"k8s.io/kubernetes/pkg/controller/disruption"
	"k8s.io/kubernetes/pkg/controller/endpointslice"
	"k8s.io/kubernetes/pkg/controller/garbagecollector"
	"k8s.io/kubernetes/pkg/controller/job"
	"k8s.io/kubernetes/pkg/controller/namespace"
	"k8s.io/kubernetes/pkg/controller/podautoscaler"
	podmetrics "k8s.io/kubernetes/pkg/controller/podautoscaler/metrics"
	"k8s.io/kubernetes/pkg/controller/replicaset"
	"k8s.io/kubernetes/pkg/controller/serviceaccount"
	resourceclient "k8s.io/metrics/pkg/client/clientset/versioned/typed/metrics/v1beta1"
	"k8s.io/metrics/pkg/client/custom_metrics"
	"k8s.io/metrics/pkg/client/external_metrics"
)

const (
	// workers per controller: a sandbox holds hundreds of objects, not thousands.
	workers = 4
	// garbageSync is how soon the garbage collector learns of a new kind of object,
	// such as the Rollout; kube-controller-manager takes 30 s.
	garbageSync = 2 * time.Second
	// namespaceResync is how often namespaces are looked at without an event.
	namespaceResync = 5 * time.Minute

	// The autoscaler's settings are kube-controller-manager's defaults.
	autoscalePeriod     = 15 * time.Second
	autoscaleDownWindow = 5 * time.Minute
	autoscaleTolerance  = 0.1
	autoscaleCPUInit    = 5 * time.Minute
	autoscaleReadyDelay = 30 * time.Second
	endpointsPerSlice   = 100
)

// controllers are Kubernetes' own controllers on one set of informers.
type controllers struct {
	ctx    context.Context
	cancel context.CancelFunc
	wait   sync.WaitGroup

	config    *rest.Config
	client    kubernetes.Interface
	metadata  metadata.Interface
	mapper    *restmapper.DeferredDiscoveryRESTMapper
	scales    scale.ScalesGetter
	informers informers.SharedInformerFactory
	objects   metadatainformer.SharedInformerFactory
	started   chan struct{}
	loops     []func(context.Context)
}

func startControllers(config *rest.Config) (*controllers, error) {
	c := &controllers{config: rest.AddUserAgent(config, "controllers"), started: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancel(klog.NewContext(context.Background(), klog.Background()))
	if err := c.assemble(); err != nil {
		c.stop()
		return nil, fmt.Errorf("start the controllers: %w", err)
	}
	c.informers.Start(c.ctx.Done())
	c.objects.Start(c.ctx.Done())
	close(c.started)
	for _, loop := range c.loops {
		c.wait.Go(func() { loop(c.ctx) })
	}
	return c, nil
}

func (c *controllers) assemble() error {
	if err := c.connect(); err != nil {
		return err
	}
	c.addNamespaces()
	c.addEndpoints()
	c.addDisruption()
	for _, add := range []func() error{c.addWorkloads, c.addAccounts, c.addAutoscaler, c.addGarbageCollector} {
		if err := add(); err != nil {
			return err
		}
	}
	return nil
}

func (c *controllers) connect() (err error) {
	if c.client, err = kubernetes.NewForConfig(c.config); err != nil {
		return err
	}
	if c.metadata, err = metadata.NewForConfig(c.config); err != nil {
		return err
	}
	c.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(c.client.Discovery()))
	kinds := scale.NewDiscoveryScaleKindResolver(c.client.Discovery())
	if c.scales, err = scale.NewForConfig(c.config, c.mapper, dynamic.LegacyAPIPathResolverFunc, kinds); err != nil {
		return err
	}
	c.informers = informers.NewSharedInformerFactoryWithOptions(c.client, 0, informers.WithTransform(trim))
	c.objects = metadatainformer.NewSharedInformerFactoryWithOptions(c.metadata, 0, metadatainformer.WithTransform(trim))
	return nil
}

// trim drops managed fields, which no controller reads and which are often the larger
// half of an object.
func trim(object any) (any, error) {
	if o, err := meta.Accessor(object); err == nil && o.GetManagedFields() != nil {
		o.SetManagedFields(nil)
	}
	return object, nil
}

func (c *controllers) add(run func(context.Context, int)) {
	c.loops = append(c.loops, func(ctx context.Context) { run(ctx, workers) })
}

func (c *controllers) addNamespaces() {
	n := namespace.NewNamespaceController(c.ctx, c.client, c.metadata,
		c.client.Discovery().ServerPreferredNamespacedResources,
		c.informers.Core().V1().Namespaces(), namespaceResync, corev1.FinalizerKubernetes)
	c.add(n.Run)
}

func (c *controllers) addEndpoints() {
	core := c.informers.Core().V1()
	e := endpointslice.NewController(c.ctx, core.Pods(), core.Services(), core.Nodes(),
		c.informers.Discovery().V1().EndpointSlices(), endpointsPerSlice, c.client, 0)
	c.add(e.Run)
}

func (c *controllers) addDisruption() {
	core, apps := c.informers.Core().V1(), c.informers.Apps().V1()
	d := disruption.NewDisruptionController(c.ctx, core.Pods(),
		c.informers.Policy().V1().PodDisruptionBudgets(), core.ReplicationControllers(),
		apps.ReplicaSets(), apps.Deployments(), apps.StatefulSets(),
		c.client, c.mapper, c.scales, c.client.Discovery())
	c.add(d.Run)
}

func (c *controllers) addWorkloads() error {
	core, apps := c.informers.Core().V1(), c.informers.Apps().V1()
	d, err := deployment.NewDeploymentController(c.ctx, apps.Deployments(), apps.ReplicaSets(), core.Pods(), c.client)
	if err != nil {
		return fmt.Errorf("deployment: %w", err)
	}
	c.add(d.Run)
	r := replicaset.NewReplicaSetController(c.ctx, apps.ReplicaSets(), core.Pods(), c.client, replicaset.BurstReplicas)
	c.add(r.Run)
	// The last two informers serve a gate that is off by default.
	j, err := job.NewController(c.ctx, c.client, core.Pods(), c.informers.Batch().V1().Jobs(), nil, nil)
	if err != nil {
		return fmt.Errorf("job: %w", err)
	}
	c.add(j.Run)
	return nil
}

func (c *controllers) addAccounts() error {
	core := c.informers.Core().V1()
	s, err := serviceaccount.NewServiceAccountsController(klog.FromContext(c.ctx), core.ServiceAccounts(),
		core.Namespaces(), c.client, serviceaccount.DefaultServiceAccountsControllerOptions())
	if err != nil {
		return fmt.Errorf("service account: %w", err)
	}
	c.add(s.Run)
	// Fills the roles admin, edit and view.
	roles := clusterroleaggregation.NewClusterRoleAggregation(c.informers.Rbac().V1().ClusterRoles(), c.client.RbacV1())
	c.add(roles.Run)
	return nil
}

// addAutoscaler runs the HorizontalPodAutoscaler. The sandbox serves no resource
// metrics: an autoscaler object says so in its conditions, as in any such cluster.
func (c *controllers) addAutoscaler() error {
	resources, err := resourceclient.NewForConfig(c.config)
	if err != nil {
		return fmt.Errorf("autoscaler: %w", err)
	}
	external, err := external_metrics.NewForConfig(c.config)
	if err != nil {
		return fmt.Errorf("autoscaler: %w", err)
	}
	versions := custom_metrics.NewAvailableAPIsGetter(c.client.Discovery())
	metrics := podmetrics.NewRESTMetricsClient(resources,
		custom_metrics.NewForConfig(c.config, c.mapper, versions), external)
	h := podautoscaler.NewHorizontalController(c.ctx, c.client.CoreV1(), c.scales, c.client.AutoscalingV2(),
		c.mapper, metrics, c.informers.Autoscaling().V2().HorizontalPodAutoscalers(), c.informers.Core().V1().Pods(),
		autoscalePeriod, autoscaleDownWindow, autoscaleTolerance, autoscaleCPUInit, autoscaleReadyDelay)
	c.add(h.Run)
	c.loops = append(c.loops, func(ctx context.Context) {
		custom_metrics.PeriodicallyInvalidate(versions, autoscalePeriod, ctx.Done())
	})
	return nil
}

func (c *controllers) addGarbageCollector() error {
	ignored := map[schema.GroupResource]struct{}{}
	for resource := range garbagecollector.DefaultIgnoredResources() {
		ignored[resource] = struct{}{}
	}
	g, err := garbagecollector.NewGarbageCollector(c.ctx, c.client, c.metadata, c.mapper, ignored,
		informerfactory.NewInformerFactory(c.informers, c.objects), c.started)
	if err != nil {
		return fmt.Errorf("garbage collector: %w", err)
	}
	c.loops = append(c.loops,
		func(ctx context.Context) { g.Run(ctx, workers, startLimit) },
		func(ctx context.Context) { g.Sync(ctx, c.client.Discovery(), garbageSync) })
	return nil
}

// stop returns when every controller has ended.
func (c *controllers) stop() {
	if c == nil {
		return
	}
	c.cancel()
	c.wait.Wait()
	if c.informers != nil {
		c.informers.Shutdown()
	}
	if c.objects != nil {
		c.objects.Shutdown()
	}
}
