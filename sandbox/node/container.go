package node

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/sandbox/node/shell"
)

const (
	// startDelay is how long creating a container takes.
	startDelay = 50 * time.Millisecond
	// pullDelay is how long the first attempt at a missing image takes.
	pullDelay = 200 * time.Millisecond
	// The restart back-off is the kubelet's: none before the first restart, then 10 s,
	// doubled up to 5 min, forgotten after 10 min of running.
	backoffFirst  = 10 * time.Second
	backoffLast   = 5 * time.Minute
	backoffForget = 10 * time.Minute
	// codeTerminated is the exit code of a process ended by SIGTERM.
	codeTerminated = 128 + 15
	// codeDied is the exit code of a container that AnnotationDiesAfter ends.
	codeDied = 1
)

// Reasons of a container's state, as the kubelet words them.
const (
	reasonInitializing = "PodInitializing"
	reasonCreating     = "ContainerCreating"
	reasonErrPull      = "ErrImagePull"
	reasonPullBackOff  = "ImagePullBackOff"
	reasonCrash        = "CrashLoopBackOff"
	reasonCreateError  = "CreateContainerError"
	reasonCompleted    = "Completed"
	reasonError        = "Error"
)

// host carries out what a life wants of the outside: the Workload of each container.
type host interface {
	// start begins the container's workload, if it has one.
	start(c *container) error
	// drain tells it that its end has begun.
	drain(c *container)
	// stop ends it and returns when it has ended.
	stop(c *container)
}

// stage is where a container is between two starts.
type stage int

const (
	waiting stage = iota
	running
	ended
)

// container is the life of one container. Its state changes in advance, end and drain
// only.
type container struct {
	spec   corev1.Container
	init   bool // an init container that must complete
	always bool // a sidecar: an init container that keeps running
	server bool // has no command, may have a workload
	result shell.Outcome
	speed  float64
	dies   time.Duration

	stage   stage
	reason  string // while waiting
	message string
	due     time.Time // while waiting: the start; zero before the first advance
	stuck   bool      // while waiting: will never start
	begun   time.Time // of the latest start
	exits   time.Time // while running: the end, zero for never
	code    int32     // what it will exit, or has exited, with
	over    time.Time // when it exited
	starts  int32
	backoff time.Duration
	last    *corev1.ContainerStateTerminated
	endsAt  time.Time // when it is told to end; zero before the pod is deleted
}

func newContainer(spec corev1.Container, init bool, speed float64, w wishes) *container {
	c := &container{spec: spec, speed: speed, dies: w.diesAfter, reason: reasonCreating}
	c.always = init && spec.RestartPolicy != nil && *spec.RestartPolicy == corev1.ContainerRestartPolicyAlways
	c.init = init && !c.always
	if init {
		c.reason, c.dies = reasonInitializing, shell.Forever
	}
	command := append(append([]string{}, spec.Command...), spec.Args...)
	c.result = shell.Run(command)
	// Arguments alone go to the image's own program, unless they are a command line.
	c.server = len(command) == 0 || len(spec.Command) == 0 && !c.result.Known
	if c.server {
		c.result = shell.Outcome{After: shell.Forever, Known: true}
		if c.init {
			c.result.After = 0 // it could never complete otherwise
		}
	}
	return c
}

// advance moves the container to where it is at the time now and returns when to look
// again, zero for never. restart says whether an exit with a code leads to a restart.
func (c *container) advance(now time.Time, h host, restart func(code int32) bool) time.Time {
	// Each turn changes the stage. The longest way is that of a container that ends at
	// once: twice from waiting to ended, then waiting for the back-off.
	for range 8 {
		switch c.stage {
		case waiting:
			if !c.begin(now, h) {
				return c.due
			}
		case running:
			if c.exits.IsZero() || now.Before(c.exits) {
				return c.exits
			}
			c.exit(now, h, c.code)
		case ended:
			if !restart(c.code) {
				return time.Time{}
			}
			c.rewind(now)
		}
	}
	return now
}

// begin starts the container when it is time to.
func (c *container) begin(now time.Time, h host) (begun bool) {
	if c.stuck {
		return false
	}
	if !pullable(c.spec.Image) {
		c.pull(now)
		return false
	}
	if c.due.IsZero() {
		c.due = now.Add(c.scale(startDelay))
		c.reason = reasonCreating
	}
	if now.Before(c.due) {
		return false
	}
	if err := h.start(c); err != nil {
		c.stuck, c.due = true, time.Time{}
		c.reason, c.message = reasonCreateError, err.Error()
		return false
	}
	c.stage, c.begun, c.reason, c.message = running, now, "", ""
	c.starts++
	c.exits, c.code = time.Time{}, c.result.Code
	lasts := c.result.After
	if c.dies < lasts {
		lasts, c.code = c.dies, codeDied
	}
	if lasts != shell.Forever {
		c.exits = now.Add(c.scale(lasts))
	}
	return true
}

// pull fails: first an error, then the back-off, for good.
func (c *container) pull(now time.Time) {
	if c.due.IsZero() {
		c.due = now.Add(c.scale(pullDelay))
		c.reason, c.message = reasonErrPull, "image "+c.spec.Image+" was not found"
	}
	if !now.Before(c.due) {
		c.stuck, c.due = true, time.Time{}
		c.reason, c.message = reasonPullBackOff, "Back-off pulling image "+c.spec.Image
	}
}

func (c *container) exit(now time.Time, h host, code int32) {
	h.stop(c)
	c.stage, c.code, c.over, c.exits = ended, code, now, time.Time{}
}

// rewind prepares the next start after an exit.
func (c *container) rewind(now time.Time) {
	c.last = c.terminated()
	if c.over.Sub(c.begun) >= c.scale(backoffForget) {
		c.backoff = 0
	}
	c.stage, c.due = waiting, now.Add(c.scale(c.backoff))
	if c.backoff > 0 {
		c.reason = reasonCrash
		c.message = "back-off " + c.backoff.String() + " restarting failed container"
	}
	c.backoff = min(max(2*c.backoff, backoffFirst), backoffLast)
}

// end moves a container of a deleted pod towards its end: the preStop hook runs, the
// container serves on, then it is told to end. It returns when to look again, zero when
// nothing runs any more.
func (c *container) end(now, graceEnds time.Time, h host) time.Time {
	if c.stage != running {
		return time.Time{}
	}
	if c.endsAt.IsZero() {
		h.drain(c)
		c.endsAt = now.Add(c.scale(preStop(&c.spec)))
	}
	if graceEnds.Before(c.endsAt) {
		c.endsAt = graceEnds
	}
	if !c.exits.IsZero() && !now.Before(c.exits) {
		c.exit(now, h, c.code)
		return time.Time{}
	}
	if !now.Before(c.endsAt) {
		code := int32(codeTerminated)
		if c.server {
			code = 0 // servers end in good order
		}
		c.exit(now, h, code)
		return time.Time{}
	}
	return earlier(c.endsAt, c.exits)
}

// scale is a duration of the pod's world in real time.
func (c *container) scale(d time.Duration) time.Duration { return scale(d, c.speed) }

func scale(d time.Duration, speed float64) time.Duration {
	// A time.Time cannot hold shell.Forever; a century is never reached either.
	const century = 100 * 365 * 24 * time.Hour
	return time.Duration(min(float64(d)/speed, float64(century)))
}

// startedAt is when its startup probe has passed.
func (c *container) startedAt() time.Time {
	if p := c.spec.StartupProbe; p != nil {
		return c.begun.Add(c.scale(seconds(p.InitialDelaySeconds)))
	}
	return c.begun
}

// readyAt is when it becomes ready, if it still runs then.
func (c *container) readyAt(w wishes) time.Time {
	delay := time.Duration(0)
	if w.ready {
		delay = w.readyAfter
	} else if p := c.spec.ReadinessProbe; p != nil {
		delay = seconds(p.InitialDelaySeconds)
	}
	return c.startedAt().Add(c.scale(delay))
}

func (c *container) terminated() *corev1.ContainerStateTerminated {
	t := &corev1.ContainerStateTerminated{
		ExitCode: c.code, Reason: reasonCompleted,
		StartedAt: metav1.NewTime(c.begun), FinishedAt: metav1.NewTime(c.over),
	}
	if c.code != 0 {
		t.Reason = reasonError
	}
	return t
}

// earlier is the earlier of two times, where zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
