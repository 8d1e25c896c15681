package routertest

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// sharing is a reader as a cache without copies is one: what it hands out is its own.
type sharing struct {
	*world
	objects, copies map[string]*unstructured.Unstructured
}

// Get hands out the one object there is under the key.
func (s *sharing) Get(ctx context.Context, k client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	if err := s.world.Get(ctx, k, o, opts...); err != nil {
		return err
	}
	u, ok := o.(*unstructured.Unstructured)
	if !ok {
		return nil
	}
	s.keep(u)
	return nil
}

// List does the same for each item.
func (s *sharing) List(ctx context.Context, l client.ObjectList, opts ...client.ListOption) error {
	if err := s.world.List(ctx, l, opts...); err != nil {
		return err
	}
	if list, ok := l.(*unstructured.UnstructuredList); ok {
		for i := range list.Items {
			s.keep(&list.Items[i])
		}
	}
	return nil
}

func (s *sharing) keep(u *unstructured.Unstructured) {
	if s.copies == nil {
		s.copies = map[string]*unstructured.Unstructured{}
	}
	s.objects[key(u)] = &unstructured.Unstructured{Object: u.Object} // shares the map
	s.copies[key(u)] = u.DeepCopy()
}
