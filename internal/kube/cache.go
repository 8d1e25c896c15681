package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// NewScheme knows the kinds that this package reads and writes as Go types.
func NewScheme() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	if err := errors.Join(appsv1.AddToScheme(s), corev1.AddToScheme(s), policyv1.AddToScheme(s), discoveryv1.AddToScheme(s), v1alpha1.AddToScheme(s)); err != nil {
		return nil, fmt.Errorf("build the scheme: %w", err)
	}
	return s, nil
}

// CacheOptions limit the caches to one namespace, "" for all, and to the objects of
// this controller instance. ReplicaSets are cached only where they carry the hash
// label. What nobody uses of an object is dropped; who wrote it goes to authors.
func CacheOptions(namespace, instanceID string, authors *Authors) cache.Options {
	o := cache.Options{
		DefaultTransform: func(in any) (any, error) {
			authors.Note(in)
			return trim(in)
		},
		ByObject: map[client.Object]cache.ByObject{
			&appsv1.ReplicaSet{}:                {Label: hashSelector()},
			&v1alpha1.Rollout{}:                 {Label: instanceSelector(instanceID)},
			&v1alpha1.AnalysisRun{}:             {Label: instanceSelector(instanceID)},
			&v1alpha1.Experiment{}:              {Label: instanceSelector(instanceID)},
			&v1alpha1.AnalysisTemplate{}:        {Label: instanceSelector(instanceID)},
			&v1alpha1.ClusterAnalysisTemplate{}: {Label: instanceSelector(instanceID)},
		},
	}
	if namespace != "" {
		o.DefaultNamespaces = map[string]cache.Config{namespace: {}}
	}
	return o
}

// Selectors are the label selectors of the caches by kind, for loop.Record.
func Selectors(instanceID string) map[schema.GroupKind]labels.Selector {
	own := instanceSelector(instanceID)
	return map[schema.GroupKind]labels.Selector{
		{Group: "apps", Kind: "ReplicaSet"}:                                   hashSelector(),
		{Group: v1alpha1.GroupVersion.Group, Kind: "Rollout"}:                 own,
		{Group: v1alpha1.GroupVersion.Group, Kind: "AnalysisRun"}:             own,
		{Group: v1alpha1.GroupVersion.Group, Kind: "Experiment"}:              own,
		{Group: v1alpha1.GroupVersion.Group, Kind: "AnalysisTemplate"}:        own,
		{Group: v1alpha1.GroupVersion.Group, Kind: "ClusterAnalysisTemplate"}: own,
	}
}

// Field indexes of the caches.
const (
	ownerIndex    = "penstock.owner"    // UID of the controlling owner, or noOwner
	serviceIndex  = "penstock.service"  // Services that a Rollout names
	routeIndex    = "penstock.route"    // objects of traffic providers that it names
	templateIndex = "penstock.template" // analysis templates that it names directly
	workloadIndex = "penstock.workload" // the workload that it references
	noOwner       = "-"
)

// Index is one field index.
type Index struct {
	Object client.Object
	Field  string
	Values client.IndexerFunc
}

// Indexes are what lookups in the caches need; routers is the table of app.
func Indexes(routers []Routing) []Index {
	owner := func(o client.Object) []string {
		if uid := controllerOf(o); uid != "" {
			return []string{uid}
		}
		return []string{noOwner}
	}
	of := func(f func(*v1alpha1.Rollout) []string) client.IndexerFunc {
		return func(o client.Object) []string {
			ro, ok := o.(*v1alpha1.Rollout)
			if !ok {
				return nil
			}
			return f(ro)
		}
	}
	return []Index{
		{&appsv1.ReplicaSet{}, ownerIndex, owner},
		{&corev1.Service{}, ownerIndex, owner},
		{&v1alpha1.AnalysisRun{}, ownerIndex, owner},
		{&v1alpha1.Experiment{}, ownerIndex, owner},
		{&v1alpha1.Rollout{}, serviceIndex, of(serviceNames)},
		{&v1alpha1.Rollout{}, templateIndex, of(templateNames)},
		{&v1alpha1.Rollout{}, workloadIndex, of(workloadKeys)},
		{&v1alpha1.Rollout{}, routeIndex, of(func(ro *v1alpha1.Rollout) []string {
			return routeKeys(ro, routers)
		})},
	}
}

// AddIndexes registers all indexes.
func AddIndexes(ctx context.Context, to client.FieldIndexer, list []Index) error {
	for _, i := range list {
		if err := to.IndexField(ctx, i.Object, i.Field, i.Values); err != nil {
			return fmt.Errorf("index %T by %s: %w", i.Object, i.Field, err)
		}
	}
	return nil
}

// serviceNames are the Services that the strategy names, without doubles and blanks.
func serviceNames(ro *v1alpha1.Rollout) []string {
	var all []string
	if b := ro.Spec.Strategy.BlueGreen; b != nil {
		all = append(all, b.ActiveService, b.PreviewService)
	}
	if c := ro.Spec.Strategy.Canary; c != nil {
		all = append(all, c.StableService, c.CanaryService)
		if c.PingPong != nil {
			all = append(all, c.PingPong.PingService, c.PingPong.PongService)
		}
	}
	var names []string
	seen := map[string]bool{"": true}
	for _, n := range all {
		if !seen[n] {
			names, seen[n] = append(names, n), true
		}
	}
	return names
}

// templateNames are the keys of the templates that the strategy names itself.
func templateNames(ro *v1alpha1.Rollout) []string {
	var keys []string
	for _, t := range trialTemplates(&ro.Spec) {
		keys = append(keys, templateKey(t))
	}
	for _, a := range analyses(&ro.Spec) {
		for _, t := range a.analysis.Templates {
			keys = append(keys, templateKey(t))
		}
	}
	return keys
}

func templateKey(t v1alpha1.AnalysisTemplateRef) string {
	if t.ClusterScope {
		return "cluster/" + t.TemplateName
	}
	return t.TemplateName
}

// anyRoute stands for the name of a route that only a selector, or another object, finds.
const anyRoute = "*"

// routeKeys are the objects of traffic providers that a Rollout names, as
// "group/Kind/namespace/name".
func routeKeys(ro *v1alpha1.Rollout, routers []Routing) (keys []string) {
	t := targetOf(ro)
	for _, ref := range refs(pick(routers, t.Routing), t) {
		ref.Name = cmp.Or(ref.Name, anyRoute)
		keys = append(keys, ref.Group+"/"+ref.String())
	}
	return keys
}
