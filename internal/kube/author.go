package kube

import (
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/penstock-io/penstock/internal/traffic"
)

// Manager is the name under which the API server notes the controller's own writes: the
// published one, since Argo CD's managedFieldsManagers name it.
const Manager = "rollouts-controller"

// Authors remembers who, of all others, wrote each route object last: the caches drop
// metadata.managedFields, which are larger than the routes. The zero value and nil are ready
// for use.
type Authors struct {
	// Now is the clock; nil means time.Now.
	Now func() time.Time

	mu   sync.Mutex
	last map[string]author
}

// author is a writer of one version of an object.
type author struct {
	version, manager string
	// since is when this version was first seen, or long before that when it was written.
	since time.Time
	// lent: fields of the object are ours, and a GitOps tool manages the rest.
	lent bool
}

// gitOps are the managers of tools that compare what is there with what is in Git. Whoever
// applies on the server's side does so too.
var gitOps = []string{"argocd-controller", "argocd-application-controller", "kustomize-controller", "helm-controller"}

// Note takes the author from an object on its way into a cache, before its managedFields go.
func (a *Authors) Note(in any) {
	u, is := in.(*unstructured.Unstructured)
	if a == nil || !is {
		return
	}
	writer, found := lastWriter(u.GetManagedFields())
	if !found {
		return
	}
	writer.lent = lent(u.GetManagedFields())
	now := clock(a.Now)
	if writer.version = u.GetResourceVersion(); now.Sub(writer.since) < 2*time.Second {
		writer.since = now // the API server's times are whole seconds
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.last == nil {
		a.last = map[string]author{}
	}
	a.last[refOf(u).String()] = writer
}

// lastWriter is the newest entry that is not ours and not about a status. Times are whole
// seconds; of two equal ones the last of the list wins.
func lastWriter(list []metav1.ManagedFieldsEntry) (w author, found bool) {
	for _, e := range slices.Backward(list) {
		if e.Manager == Manager || e.Subresource != "" || e.Time == nil || found && !e.Time.After(w.since) {
			continue
		}
		w, found = author{manager: e.Manager, since: e.Time.Time}, true
	}
	return w, found
}

// lent reports that an object which a GitOps tool manages has fields of ours.
func lent(list []metav1.ManagedFieldsEntry) bool {
	return slices.ContainsFunc(list, isOurs) && slices.ContainsFunc(list, func(e metav1.ManagedFieldsEntry) bool {
		return !isOurs(e) && (e.Operation == metav1.ManagedFieldsOperationApply || slices.Contains(gitOps, e.Manager))
	})
}

func isOurs(e metav1.ManagedFieldsEntry) bool { return e.Manager == Manager && e.Subresource == "" }

func clock(now func() time.Time) time.Time {
	if now == nil {
		return time.Now()
	}
	return now()
}

// of tells who wrote an object; the zero author is nobody known.
func (a *Authors) of(object, version string) author {
	if a == nil {
		return author{}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if w := a.last[object]; w.version == version {
		return w
	}
	return author{}
}

// lends reports whether an object that a GitOps tool manages has fields of ours.
func (a *Authors) lends(object string) bool {
	if a == nil {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last[object].lent
}

// forget drops an object that is gone.
func (a *Authors) forget(u *unstructured.Unstructured) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if name := refOf(u).String(); a.last[name].version == u.GetResourceVersion() {
		delete(a.last, name)
	}
}

func refOf(u *unstructured.Unstructured) traffic.Ref {
	gvk := u.GroupVersionKind()
	return traffic.Ref{Group: gvk.Group, Kind: gvk.Kind, Namespace: u.GetNamespace(), Name: u.GetName()}
}
