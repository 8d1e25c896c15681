package mesh

import (
	"slices"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// idle is how long the gateway waits when no change is waiting.
const idle = time.Hour

// delayed holds changes of routes back, in order:
//
//	offered   A────B──C──────────
//	lag       ├──┤
//	current   ───A────B──C───────
//
// The zero value has no routes.
type delayed struct {
	now     Routes
	waiting []offered
	last    []stamp
}

type offered struct {
	routes Routes
	at     time.Time
}

// stamp tells one version of an object from another.
type stamp struct {
	uid             types.UID
	namespace, name string
	version         string
}

// offer queues routes unless they are those that were offered last.
func (d *delayed) offer(r Routes, at time.Time) {
	stamps := stampsOf(r)
	if slices.Equal(stamps, d.last) {
		return
	}
	d.last = stamps
	d.waiting = append(d.waiting, offered{r, at})
}

// current returns the routes to follow at a time and how long until others may
// be due.
func (d *delayed) current(now time.Time, lag time.Duration) (Routes, time.Duration) {
	for len(d.waiting) > 0 {
		if left := d.waiting[0].at.Add(lag).Sub(now); left > 0 {
			return d.now, left
		}
		d.now, d.waiting = d.waiting[0].routes, d.waiting[1:]
	}
	return d.now, idle
}

func stampsOf(r Routes) []stamp {
	// Never nil, so that offering nothing at all differs from nothing offered.
	stamps := []stamp{}
	stamps = stamped(stamps, r.VirtualServices, func(o *VirtualService) *metav1.ObjectMeta { return &o.ObjectMeta })
	stamps = stamped(stamps, r.DestinationRules, func(o *DestinationRule) *metav1.ObjectMeta { return &o.ObjectMeta })
	stamps = stamped(stamps, r.HTTPRoutes, func(o *gatewayv1.HTTPRoute) *metav1.ObjectMeta { return &o.ObjectMeta })
	stamps = stamped(stamps, r.Ingresses, func(o **networkingv1.Ingress) *metav1.ObjectMeta { return &(*o).ObjectMeta })
	stamps = stamped(stamps, r.TrafficSplits, func(o *TrafficSplit) *metav1.ObjectMeta { return &o.ObjectMeta })
	stamps = stamped(stamps, r.IngressRoutes, func(o *IngressRoute) *metav1.ObjectMeta { return &o.ObjectMeta })
	return stamped(stamps, r.TraefikServices, func(o *TraefikService) *metav1.ObjectMeta { return &o.ObjectMeta })
}

// stamped adds the stamps of one kind, and an empty one that ends them.
func stamped[T any](stamps []stamp, all []T, meta func(*T) *metav1.ObjectMeta) []stamp {
	for i := range all {
		o := meta(&all[i])
		stamps = append(stamps, stamp{o.UID, o.Namespace, o.Name, o.ResourceVersion})
	}
	return append(stamps, stamp{})
}
