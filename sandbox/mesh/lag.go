package mesh

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
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
	stamps := make([]stamp, 0, len(r.VirtualServices)+len(r.DestinationRules)+len(r.HTTPRoutes))
	add := func(o *metav1.ObjectMeta) {
		stamps = append(stamps, stamp{o.UID, o.Namespace, o.Name, o.ResourceVersion})
	}
	for i := range r.VirtualServices {
		add(&r.VirtualServices[i].ObjectMeta)
	}
	stamps = append(stamps, stamp{})
	for i := range r.DestinationRules {
		add(&r.DestinationRules[i].ObjectMeta)
	}
	stamps = append(stamps, stamp{})
	for i := range r.HTTPRoutes {
		add(&r.HTTPRoutes[i].ObjectMeta)
	}
	return stamps
}
