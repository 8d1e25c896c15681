package routertest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// memory is the least cluster that a router needs, for laws that make thousands of them.
// What it does not have panics: such a router's fixture has no Shape.
type memory struct {
	client.WithWatch
	objects map[string]*unstructured.Unstructured
	version int
}

func newMemory(objects []*unstructured.Unstructured) *memory {
	m := &memory{objects: map[string]*unstructured.Unstructured{}}
	for _, u := range objects {
		u = u.DeepCopy()
		u.SetResourceVersion(m.next())
		m.objects[key(u)] = u
	}
	return m
}

func (m *memory) next() string {
	m.version++
	return strconv.Itoa(m.version)
}

// Get reads one object.
func (m *memory) Get(_ context.Context, k client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	u, ok := o.(*unstructured.Unstructured)
	if !ok {
		return fmt.Errorf("get %s: want unstructured, got %T", k, o)
	}
	name := u.DeepCopy()
	name.SetNamespace(k.Namespace)
	name.SetName(k.Name)
	found := m.objects[key(name)]
	if found == nil {
		return apierrors.NewNotFound(schema.GroupResource{Group: u.GroupVersionKind().Group, Resource: u.GetKind()}, k.String())
	}
	found.DeepCopyInto(u)
	return nil
}

// Create stores an object that is not there.
func (m *memory) Create(_ context.Context, o client.Object, _ ...client.CreateOption) error {
	u, ok := o.(*unstructured.Unstructured)
	if !ok {
		return fmt.Errorf("create: want unstructured, got %T", o)
	}
	if m.objects[key(u)] != nil {
		return apierrors.NewAlreadyExists(schema.GroupResource{Group: u.GroupVersionKind().Group, Resource: u.GetKind()}, u.GetName())
	}
	u.SetResourceVersion(m.next())
	m.objects[key(u)] = u.DeepCopy()
	return nil
}

// Delete takes an object away.
func (m *memory) Delete(_ context.Context, o client.Object, _ ...client.DeleteOption) error {
	u, ok := o.(*unstructured.Unstructured)
	if !ok {
		return fmt.Errorf("delete: want unstructured, got %T", o)
	}
	if m.objects[key(u)] == nil {
		return apierrors.NewNotFound(schema.GroupResource{Group: u.GroupVersionKind().Group, Resource: u.GetKind()}, u.GetName())
	}
	delete(m.objects, key(u))
	return nil
}

// Update writes one object that nobody else has written since it was read.
func (m *memory) Update(_ context.Context, o client.Object, _ ...client.UpdateOption) error {
	u, ok := o.(*unstructured.Unstructured)
	if !ok {
		return fmt.Errorf("update: want unstructured, got %T", o)
	}
	resource := schema.GroupResource{Group: u.GroupVersionKind().Group, Resource: u.GetKind()}
	switch found := m.objects[key(u)]; {
	case found == nil:
		return apierrors.NewNotFound(resource, u.GetName())
	case found.GetResourceVersion() != u.GetResourceVersion():
		return apierrors.NewConflict(resource, u.GetName(), nil)
	}
	u.SetResourceVersion(m.next())
	m.objects[key(u)] = u.DeepCopy()
	return nil
}

// List reads the objects of a kind, in a namespace, with labels.
func (m *memory) List(_ context.Context, l client.ObjectList, opts ...client.ListOption) error {
	list, ok := l.(*unstructured.UnstructuredList)
	if !ok {
		return fmt.Errorf("list: want unstructured, got %T", l)
	}
	var o client.ListOptions
	o.ApplyOptions(opts)
	kind := strings.TrimSuffix(list.GetKind(), "List")
	for _, k := range slices.Sorted(maps.Keys(m.objects)) {
		u := m.objects[k]
		if u.GetKind() == kind && (o.Namespace == "" || o.Namespace == u.GetNamespace()) &&
			(o.LabelSelector == nil || o.LabelSelector.Matches(labels.Set(u.GetLabels()))) {
			list.Items = append(list.Items, *u.DeepCopy())
		}
	}
	return nil
}
