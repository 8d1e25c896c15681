package cli

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// relist is the pause before a watch that ended is taken up again, and patience how
	// many attempts in a row may fail before the watch as a whole does.
	relist   = time.Second
	patience = 5
)

// feed is some objects of one kind to list, and to watch from there on.
type feed struct {
	kind, where string
	list        func() client.ObjectList
	options     []client.ListOption
}

// id names the feed among others.
func (f feed) id() string { return f.kind + "?" + f.where }

// update is the state of one feed: all its objects, or why they can no longer be had.
type update struct {
	feed    feed
	objects map[types.UID]client.Object
	err     error
}

// named is the one object of this name.
func (c *cluster) named(n noun, name string) feed {
	by := fields.OneTermEqualSelector("metadata.name", name)
	return feed{n.plural(), by.String(), n.list, []client.ListOption{client.InNamespace(c.namespace), client.MatchingFieldsSelector{Selector: by}}}
}

// labelled are the objects that a selector matches.
func (c *cluster) labelled(n noun, by labels.Selector) feed {
	return feed{n.plural(), by.String(), n.list, []client.ListOption{client.InNamespace(c.namespace), client.MatchingLabelsSelector{Selector: by}}}
}

// read lists the feed once.
func (f feed) read(ctx context.Context, c *cluster) (u update, version string, err error) {
	u.feed = f
	list := f.list()
	if err := c.List(ctx, list, f.options...); err != nil {
		return u, "", fmt.Errorf("list %s in %s: %w", f.kind, c.namespace, err)
	}
	u.objects = map[types.UID]client.Object{}
	err = meta.EachListItem(list, func(o runtime.Object) error {
		u.put(watch.Added, o)
		return nil
	})
	return u, list.GetResourceVersion(), err
}

func (u *update) put(what watch.EventType, o runtime.Object) bool {
	object, ok := o.(client.Object)
	if !ok {
		return false
	}
	switch what {
	case watch.Added, watch.Modified:
		u.objects[object.GetUID()] = object
	case watch.Deleted:
		delete(u.objects, object.GetUID())
	default:
		return false
	}
	return true
}

// copied is the update with a map of its own, to be handed to another goroutine.
func (u update) copied() update {
	objects := make(map[types.UID]client.Object, len(u.objects))
	for k, v := range u.objects {
		objects[k] = v
	}
	u.objects = objects
	return u
}

// follow hands over the feed's state at first and after every change, until ctx ends or
// the API server keeps failing; the last update then carries the error.
func (f feed) follow(ctx context.Context, c *cluster, out chan<- update) {
	for failures, first := 0, true; ctx.Err() == nil; first = false {
		err := f.round(ctx, c, out)
		if failures++; err == nil {
			failures = 0
		}
		refused := apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) || apierrors.IsNotFound(err)
		if err != nil && (first || refused || failures >= patience) {
			hand(ctx, out, update{feed: f, err: err})
			return
		}
		pause(ctx, relist)
	}
}

// round lists, then watches until the watch ends; an end is no error.
func (f feed) round(ctx context.Context, c *cluster, out chan<- update) error {
	u, version, err := f.read(ctx, c)
	if err != nil {
		return err
	}
	hand(ctx, out, u.copied())
	options := append([]client.ListOption{&client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: version}}}, f.options...)
	w, err := c.Watch(ctx, f.list(), options...)
	if err != nil {
		return fmt.Errorf("watch %s in %s: %w", f.kind, c.namespace, err)
	}
	defer w.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, ok := <-w.ResultChan():
			if !ok || e.Type == watch.Error {
				return nil
			}
			if u.put(e.Type, e.Object) {
				hand(ctx, out, u.copied())
			}
		}
	}
}

func hand(ctx context.Context, out chan<- update, u update) {
	select {
	case out <- u:
	case <-ctx.Done():
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
