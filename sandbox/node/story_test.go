package node

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// epoch is when every life in these tests begins.
var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// hostLog is a host that writes down what it is asked.
type hostLog struct {
	said []string
	fail error
}

func (h *hostLog) start(c *container) error { h.say("start", c); return h.fail }
func (h *hostLog) drain(c *container)       { h.say("drain", c) }
func (h *hostLog) stop(c *container)        { h.say("stop", c) }
func (h *hostLog) say(verb string, c *container) {
	h.said = append(h.said, verb+" "+c.spec.Name)
}

// tell tells a life as lines "time: phase, ready or not, reasons (what was asked of the
// host)", one for each change until the end. A delete of the pod comes at deleteAt.
func tell(pod *corev1.Pod, speed float64, until, deleteAt time.Duration, fail error) []string {
	var lines []string
	h := &hostLog{fail: fail}
	l := newLife(epoch, pod, speed)
	last := ""
	for at := time.Duration(0); at <= until; {
		now := epoch.Add(at)
		if deleteAt > 0 && at >= deleteAt && pod.DeletionTimestamp == nil {
			pod.DeletionTimestamp = &metav1.Time{Time: now}
			pod.DeletionGracePeriodSeconds = pod.Spec.TerminationGracePeriodSeconds
		}
		wake := l.advance(now, pod, h)
		line := summary(l.status(now, pod, "10.0.0.9", "10.0.0.1"))
		if l.finished {
			line += ", removed"
		}
		if len(h.said) > 0 {
			line += " (" + strings.Join(h.said, ", ") + ")"
		}
		if line != last {
			lines = append(lines, at.String()+": "+line)
		}
		last, h.said = strings.Split(line, " (")[0], nil
		if l.finished {
			break
		}
		next := until + 1
		if !wake.IsZero() {
			next = max(wake.Sub(epoch), at)
		}
		if deleteAt > at && deleteAt < next {
			next = deleteAt
		}
		at = next
	}
	return lines
}

func summary(s corev1.PodStatus) string {
	parts := []string{string(s.Phase)}
	for _, c := range s.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			parts = append(parts, "ready")
		}
	}
	for _, c := range append(s.InitContainerStatuses, s.ContainerStatuses...) {
		switch {
		case c.State.Waiting != nil:
			parts = append(parts, c.State.Waiting.Reason)
		case c.State.Terminated != nil:
			parts = append(parts, fmt.Sprintf("exit %d", c.State.Terminated.ExitCode))
		default:
			parts = append(parts, "runs")
		}
		if c.RestartCount > 0 {
			parts = append(parts, fmt.Sprintf("restarts %d", c.RestartCount))
		}
	}
	return strings.Join(parts, ", ")
}

// podOf makes a pod of one container that the edits change.
func podOf(edits ...func(*corev1.Pod)) *corev1.Pod {
	grace := int64(30)
	pod := &corev1.Pod{Spec: corev1.PodSpec{
		RestartPolicy:                 corev1.RestartPolicyAlways,
		TerminationGracePeriodSeconds: &grace,
		Containers:                    []corev1.Container{{Name: "app", Image: "nginx:1"}},
	}}
	for _, edit := range edits {
		edit(pod)
	}
	return pod
}

func runs(words ...string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Spec.Containers[0].Command = words }
}

func policy(r corev1.RestartPolicy) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Spec.RestartPolicy = r }
}

func image(i string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Spec.Containers[0].Image = i }
}

func annotate(pairs ...string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Annotations = map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			p.Annotations["sandbox.penstock.io/"+pairs[i]] = pairs[i+1]
		}
	}
}

func probe(seconds int32) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Containers[0].ReadinessProbe = &corev1.Probe{InitialDelaySeconds: seconds}
	}
}

func sleepBeforeStop(seconds int64) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{
			PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: seconds}},
		}
	}
}

func grace(seconds int64) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Spec.TerminationGracePeriodSeconds = &seconds }
}

func initContainer(name string, always bool, words ...string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		c := corev1.Container{Name: name, Image: "busybox", Command: words}
		if always {
			policy := corev1.ContainerRestartPolicyAlways
			c.RestartPolicy = &policy
		}
		p.Spec.InitContainers = append(p.Spec.InitContainers, c)
	}
}
