package node

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// life is the life of one pod. It is given the time and the pod as last seen, and says
// what its status is and when to look again. It reads no clock and calls nothing but
// its host.
type life struct {
	wishes wishes
	speed  float64
	policy corev1.RestartPolicy
	init   []*container
	main   []*container

	initialized bool
	firstReady  time.Time // when all containers first were ready
	deleted     time.Time // when the deletion was first seen
	graceEnds   time.Time
	finished    bool // the pod is deleted and nothing runs any more
	ready       bool // all containers are ready, as of the last advance
	readyNow    map[*container]bool

	born    metav1.Time // when the node took the pod on
	written map[corev1.PodConditionType]corev1.PodCondition
}

func newLife(now time.Time, pod *corev1.Pod, speed float64) *life {
	l := &life{
		wishes: readWishes(pod), speed: speed, policy: pod.Spec.RestartPolicy,
		readyNow: map[*container]bool{},
		born:     metav1.NewTime(now.Truncate(time.Second)),
		written:  map[corev1.PodConditionType]corev1.PodCondition{},
	}
	for _, c := range pod.Status.Conditions {
		l.written[c.Type] = c
	}
	for _, c := range pod.Spec.InitContainers {
		l.init = append(l.init, newContainer(c, true, speed, l.wishes))
	}
	for _, c := range pod.Spec.Containers {
		made := newContainer(c, false, speed, l.wishes)
		if len(l.init) > 0 {
			made.reason = reasonInitializing
		}
		l.main = append(l.main, made)
	}
	return l
}

// advance moves the pod to the time now and returns when to look again, zero for only
// at the next event.
func (l *life) advance(now time.Time, pod *corev1.Pod, h host) (wake time.Time) {
	if pod.DeletionTimestamp != nil {
		wake = l.end(now, pod, h)
	} else {
		wake = l.run(now, h)
	}
	return earlier(wake, l.observeReady(now))
}

func (l *life) run(now time.Time, h host) (wake time.Time) {
	l.initialized = true
	for _, c := range l.init {
		wake = earlier(wake, c.advance(now, h, l.restarts(c)))
		if c.stage == ended && c.code == 0 || c.always && c.stage == running {
			continue
		}
		l.initialized = false
		return wake
	}
	for _, c := range l.main {
		wake = earlier(wake, c.advance(now, h, l.restarts(c)))
	}
	// Sidecars end with the last container of a pod that is not restarted.
	if l.over() {
		for _, c := range l.init {
			if c.always && c.stage == running {
				c.exit(now, h, 0)
			}
		}
	}
	return wake
}

// restarts is the rule after an exit of the container.
func (l *life) restarts(c *container) func(code int32) bool {
	return func(code int32) bool {
		switch {
		case c.always:
			return !l.over()
		case c.init:
			return code != 0 && l.policy != corev1.RestartPolicyNever
		case l.policy == corev1.RestartPolicyAlways:
			return true
		}
		return l.policy == corev1.RestartPolicyOnFailure && code != 0
	}
}

// over reports whether every container has ended for good, or an init container has
// failed for good.
func (l *life) over() bool {
	for _, c := range l.init {
		if c.init && c.stage == ended && c.code != 0 && !l.restarts(c)(c.code) {
			return true
		}
	}
	for _, c := range l.main {
		if c.stage != ended || l.restarts(c)(c.code) {
			return false
		}
	}
	return true
}

func (l *life) end(now time.Time, pod *corev1.Pod, h host) (wake time.Time) {
	grace := int64(corev1.DefaultTerminationGracePeriodSeconds)
	if pod.DeletionGracePeriodSeconds != nil {
		grace = *pod.DeletionGracePeriodSeconds
	}
	if l.deleted.IsZero() {
		l.deleted = now
	}
	// A second deletion may shorten the grace period, never lengthen it.
	if ends := l.deleted.Add(scale(seconds(grace), l.speed)); l.graceEnds.IsZero() || ends.Before(l.graceEnds) {
		l.graceEnds = ends
	}
	l.finished = true
	for _, c := range l.containers() {
		wake = earlier(wake, c.end(now, l.graceEnds, h))
		l.finished = l.finished && c.stage != running
	}
	return wake
}

// kill ends everything at once: the pod is gone from the API server.
func (l *life) kill(now time.Time, h host) {
	for _, c := range l.containers() {
		if c.stage == running {
			c.exit(now, h, codeTerminated)
		}
	}
	l.finished = true
}

func (l *life) containers() []*container {
	return append(append([]*container{}, l.init...), l.main...)
}

// observeReady works out which containers are ready and returns when that changes.
// While a deleted pod still serves it stays ready, as on a real node; its EndpointSlices
// say ready=false, serving=true from the deletion on.
func (l *life) observeReady(now time.Time) (wake time.Time) {
	l.ready = l.initialized
	allowed, change := l.allowed(now)
	wake = change
	for _, c := range l.containers() {
		at := c.readyAt(l.wishes)
		l.readyNow[c] = c.stage == running && allowed && !now.Before(at)
		if c.stage == running {
			if s := c.startedAt(); now.Before(s) {
				wake = earlier(wake, s)
			}
			if now.Before(at) {
				wake = earlier(wake, at)
			}
		}
		if !c.init {
			l.ready = l.ready && l.readyNow[c]
		}
	}
	if l.ready && l.firstReady.IsZero() {
		l.firstReady = now
		// The window without readiness is counted from here.
		_, change = l.allowed(now)
		wake = earlier(wake, change)
	}
	return wake
}

// allowed is false when the annotations keep the pod from being ready, and returns when
// that changes.
func (l *life) allowed(now time.Time) (ok bool, change time.Time) {
	w := l.wishes
	if w.neverReady {
		return false, time.Time{}
	}
	if !w.unready || l.firstReady.IsZero() {
		return true, time.Time{}
	}
	from := l.firstReady.Add(scale(w.unreadyAfter, l.speed))
	until := from.Add(scale(w.unreadyFor, l.speed))
	switch {
	case now.Before(from):
		return true, from
	case now.Before(until):
		return false, until
	}
	return true, time.Time{}
}
