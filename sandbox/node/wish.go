package node

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/penstock-io/penstock/sandbox/node/shell"
)

// Annotations of a pod that change its life. Durations are Go's, as "1500ms"; a value
// that cannot be read counts as absent.
const (
	// AnnotationReadyAfter is how long after its start a container becomes ready,
	// instead of its readiness probe's initialDelaySeconds.
	AnnotationReadyAfter = "sandbox.penstock.io/ready-after"
	// AnnotationUnreadyAfter makes the pod not ready, so long after it first was ready.
	AnnotationUnreadyAfter = "sandbox.penstock.io/unready-after"
	// AnnotationUnreadyFor ends what AnnotationUnreadyAfter began; without it the pod
	// stays not ready.
	AnnotationUnreadyFor = "sandbox.penstock.io/unready-for"
	// AnnotationDiesAfter makes every container exit with code 1, so long after each of
	// its starts.
	AnnotationDiesAfter = "sandbox.penstock.io/dies-after"
	// AnnotationNeverReady, when "true", keeps the pod not ready.
	AnnotationNeverReady = "sandbox.penstock.io/never-ready"
)

// wishes are the annotations, read.
type wishes struct {
	readyAfter   time.Duration
	ready        bool // readyAfter is set
	unreadyAfter time.Duration
	unready      bool // unreadyAfter is set
	unreadyFor   time.Duration
	diesAfter    time.Duration // shell.Forever when it is not set
	neverReady   bool
}

func readWishes(pod *corev1.Pod) wishes {
	read := func(key string) (time.Duration, bool) {
		d, err := time.ParseDuration(pod.Annotations[key])
		return d, err == nil && d >= 0
	}
	w := wishes{diesAfter: shell.Forever, unreadyFor: shell.Forever, neverReady: pod.Annotations[AnnotationNeverReady] == "true"}
	w.readyAfter, w.ready = read(AnnotationReadyAfter)
	w.unreadyAfter, w.unready = read(AnnotationUnreadyAfter)
	if d, ok := read(AnnotationUnreadyFor); ok {
		w.unreadyFor = d
	}
	if d, ok := read(AnnotationDiesAfter); ok {
		w.diesAfter = d
	}
	return w
}

// pullable is false for an image that the sandbox pretends not to find.
func pullable(image string) bool {
	image, _, _ = strings.Cut(image, "@")
	colon := strings.LastIndexByte(image, ':')
	if colon < 0 || strings.Contains(image[colon:], "/") {
		return true // no tag
	}
	tag := image[colon+1:]
	return !strings.Contains(tag, "bad") && !strings.Contains(tag, "error")
}

// preStop is how long a container's preStop hook takes.
func preStop(c *corev1.Container) time.Duration {
	if c.Lifecycle == nil || c.Lifecycle.PreStop == nil {
		return 0
	}
	hook := c.Lifecycle.PreStop
	switch {
	case hook.Sleep != nil:
		return seconds(hook.Sleep.Seconds)
	case hook.Exec != nil:
		return shell.Run(hook.Exec.Command).After
	}
	return 0
}

func seconds[N int32 | int64](n N) time.Duration {
	if int64(n) > int64(shell.Forever/time.Second) {
		return shell.Forever
	}
	return time.Duration(n) * time.Second
}
