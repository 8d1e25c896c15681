package gatewayapi

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// found is one route object of the cluster.
type found struct {
	kind *kind
	*unstructured.Unstructured
}

func (f found) in(p plan) place { return place{plan: p, kind: f.kind, object: f.Object} }

// load reads the named routes, then those that each selector finds, by name. With lenient, a
// missing route, or a kind that the cluster does not serve, is left out: there is nothing of
// ours to remove.
func (r *router) load(ctx context.Context, p plan, lenient bool) (routes []found, err error) {
	gone := func(err error) bool { return lenient && (apierrors.IsNotFound(err) || meta.IsNoMatchError(err)) }
	for _, m := range p.members {
		u := &unstructured.Unstructured{}
		u.SetGroupVersionKind(r.options.gvk(m.kind))
		err := r.reader.Get(ctx, client.ObjectKey{Namespace: p.routeNamespace, Name: m.name}, u)
		switch {
		case gone(err):
			continue
		case apierrors.IsNotFound(err):
			return nil, fmt.Errorf("%s: get %s: %w: create it, or name another one", m.at, m.kind.ref(p.routeNamespace, m.name), err)
		case err != nil:
			return nil, fmt.Errorf("get %s: %w", m.kind.ref(p.routeNamespace, m.name), err)
		}
		routes = append(routes, found{m.kind, u})
	}
	for _, f := range p.finders {
		list, err := r.find(ctx, p, f)
		if err != nil && !gone(err) {
			return nil, fmt.Errorf("list %ss %q in namespace %s: %w", f.kind.name, f.selector, p.routeNamespace, err)
		}
		routes = append(routes, list...)
	}
	return routes, nil
}

// find lists the routes of one selector that the section does not name.
func (r *router) find(ctx context.Context, p plan, f finder) (routes []found, err error) {
	list := &unstructured.UnstructuredList{}
	kind := r.options.gvk(f.kind)
	list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	if err := r.reader.List(ctx, list, client.InNamespace(p.routeNamespace), client.MatchingLabelsSelector{Selector: f.selector}); err != nil {
		return nil, err
	}
	for i := range list.Items {
		if u := &list.Items[i]; !p.includes(f.kind, u.GetName()) {
			routes = append(routes, found{f.kind, u})
		}
	}
	slices.SortFunc(routes, func(a, b found) int { return strings.Compare(a.GetName(), b.GetName()) })
	return routes, nil
}

// noMatch says that selectors, and nothing else, are to find routes, and do not.
func (p plan) noMatch() string {
	var list []string
	for _, f := range p.finders {
		list = append(list, fmt.Sprintf("%s: no %s in namespace %s matches %q", f.at, f.kind.name, p.routeNamespace, f.selector))
	}
	return strings.Join(list, "; ")
}
