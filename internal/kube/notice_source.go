package kube

import (
	"context"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/penstock-io/penstock/internal/notify"
)

// +kubebuilder:rbac:groups="",namespace=penstock-system,resources=configmaps,resourceNames=argo-rollouts-notification-configmap;argo-rollouts-notification-secret,verbs=get;list;watch
// +kubebuilder:rbac:groups="",namespace=penstock-system,resources=secrets,resourceNames=argo-rollouts-notification-secret,verbs=get;list;watch
// +kubebuilder:rbac:groups=notifications.argoproj.io,namespace=penstock-system,resources=notificationtemplates,verbs=get;list;watch

// NoticeSource watches what notifications are configured by, and keeps a Book up to date.
type NoticeSource struct {
	Client dynamic.Interface
	Book   *notify.Book
	// Own is the controller's namespace. Namespaces are those that are watched: Own only, or ""
	// for all where namespaces serve themselves.
	Own        string
	Namespaces []string
	// Changed is told after each change.
	Changed func()
	Logger  logr.Logger

	ready chan struct{}
	mu    sync.Mutex
	said  map[string]string // problems by namespace that are in the log
	lists map[string][]toolscache.SharedIndexInformer
}

// readyWithin bounds how long notifications may keep passes from beginning: releases go on
// without them.
const readyWithin = 5 * time.Second

// What is watched.
const (
	configMaps = "configmaps"
	misplaced  = "misplaced"
	secrets    = "secrets"
	templates  = "notificationtemplates"
)

// NewNoticeSource makes a NoticeSource.
func NewNoticeSource(c dynamic.Interface, b *notify.Book, own string, namespaces []string, changed func(), l logr.Logger) *NoticeSource {
	return &NoticeSource{Client: c, Book: b, Own: own, Namespaces: namespaces, Changed: changed, Logger: l, ready: make(chan struct{}),
		said: map[string]string{}, lists: map[string][]toolscache.SharedIndexInformer{}}
}

// Ready is closed once everything has been read, or cannot be.
func (n *NoticeSource) Ready() <-chan struct{} { return n.ready }

// Run watches until the context ends.
func (n *NoticeSource) Run(ctx context.Context) {
	var synced []toolscache.InformerSynced
	core := func(resource string) schema.GroupVersionResource {
		return schema.GroupVersionResource{Version: "v1", Resource: resource}
	}
	for _, namespace := range n.Namespaces {
		for _, w := range []struct {
			list, name string
			resource   schema.GroupVersionResource
		}{
			{configMaps, notify.ConfigMapName, core(configMaps)}, {misplaced, notify.SecretName, core(configMaps)},
			{secrets, notify.SecretName, core(secrets)},
			{templates, "", notify.TemplateKind.GroupVersion().WithResource(templates)},
		} {
			inf := n.informer(w.resource, namespace, w.name)
			n.lists[w.list] = append(n.lists[w.list], inf)
			if w.name != "" {
				synced = append(synced, inf.HasSynced)
			}
		}
	}
	for _, list := range n.lists {
		for _, inf := range list {
			go inf.RunWithContext(ctx)
		}
	}
	wait, cancel := context.WithTimeout(ctx, readyWithin)
	toolscache.WaitForCacheSync(wait.Done(), synced...)
	cancel()
	n.read(n.Own)
	close(n.ready)
	<-ctx.Done()
}

func (n *NoticeSource) informer(resource schema.GroupVersionResource, namespace, name string) toolscache.SharedIndexInformer {
	inf := dynamicinformer.NewFilteredDynamicInformer(n.Client, resource, namespace, 0, toolscache.Indexers{toolscache.NamespaceIndex: toolscache.MetaNamespaceIndexFunc},
		func(o *metav1.ListOptions) {
			if name != "" {
				o.FieldSelector = fields.OneTermEqualSelector("metadata.name", name).String()
			}
		}).Informer()
	changed := func(o any) {
		if gone, is := o.(toolscache.DeletedFinalStateUnknown); is {
			o = gone.Obj
		}
		if u, is := o.(*unstructured.Unstructured); is {
			n.read(u.GetNamespace())
		}
	}
	// Both fail only once the informer has begun.
	_, _ = inf.AddEventHandler(toolscache.ResourceEventHandlerFuncs{AddFunc: changed, UpdateFunc: func(_, o any) { changed(o) }, DeleteFunc: changed})
	_ = inf.SetWatchErrorHandler(func(_ *toolscache.Reflector, err error) {
		if name == "" && apierrors.IsNotFound(err) { // the kind is not installed
			return
		}
		n.say(resource.Resource, "watch "+resource.Resource+" "+name+": "+err.Error()+"; notifications go on without")
	})
	return inf
}

// read takes what there is of a namespace into the book.
func (n *NoticeSource) read(namespace string) {
	from := notify.Sources{}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, o := range n.objects(configMaps, namespace) {
		from.ConfigMap = &corev1.ConfigMap{}
		convert(o, from.ConfigMap)
	}
	for _, o := range n.objects(misplaced, namespace) {
		from.Misplaced = &corev1.ConfigMap{}
		convert(o, from.Misplaced)
	}
	for _, o := range n.objects(secrets, namespace) {
		from.Secret = &corev1.Secret{}
		convert(o, from.Secret)
	}
	from.Templates = n.objects(templates, namespace)
	config := notify.Parse(from)
	scope := namespace
	if scope == n.Own {
		scope = ""
	}
	n.Book.Set(scope, config)
	for _, p := range config.Problems {
		n.sayLocked(namespace+"/"+p.Key, p.String())
	}
	if n.Changed != nil {
		n.Changed()
	}
}

func (n *NoticeSource) objects(list, namespace string) (all []*unstructured.Unstructured) {
	for _, inf := range n.lists[list] {
		items, err := inf.GetIndexer().ByIndex(toolscache.NamespaceIndex, namespace)
		if err != nil {
			continue
		}
		for _, item := range items {
			if u, is := item.(*unstructured.Unstructured); is {
				all = append(all, u)
			}
		}
	}
	return all
}

// convert reads what the API server has checked already.
func convert(from *unstructured.Unstructured, into any) {
	_ = runtime.DefaultUnstructuredConverter.FromUnstructured(from.Object, into)
}

func (n *NoticeSource) say(about, text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sayLocked(about, text)
}

// sayLocked logs a problem that is news; n.mu is held.
func (n *NoticeSource) sayLocked(about, text string) {
	if n.said[about] != text {
		n.said[about] = text
		n.Logger.Info("notifications: this is not as it should be", "problem", text, "about", about)
	}
}
