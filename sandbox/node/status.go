package node

import (
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// status is the pod's status at the time now. Conditions that do not change keep their
// transition time, because minReadySeconds counts from it.
func (l *life) status(now time.Time, pod *corev1.Pod, ip, hostIP string) corev1.PodStatus {
	s := corev1.PodStatus{
		Phase:     l.phase(),
		HostIP:    hostIP,
		HostIPs:   []corev1.HostIP{{IP: hostIP}},
		PodIP:     ip,
		PodIPs:    []corev1.PodIP{{IP: ip}},
		StartTime: &l.born,
		QOSClass:  pod.Status.QOSClass,
	}
	for _, c := range l.init {
		s.InitContainerStatuses = append(s.InitContainerStatuses, l.containerStatus(now, pod, c))
	}
	for _, c := range l.main {
		s.ContainerStatuses = append(s.ContainerStatuses, l.containerStatus(now, pod, c))
	}
	l.conditions(&s, now, pod)
	return s
}

func (l *life) phase() corev1.PodPhase {
	if l.over() || l.finished {
		return l.verdict()
	}
	for _, c := range l.main {
		if c.starts > 0 {
			return corev1.PodRunning
		}
	}
	return corev1.PodPending
}

// verdict is the phase of a pod of which nothing runs any more.
func (l *life) verdict() corev1.PodPhase {
	for _, c := range l.containers() {
		// A container that never ran, or that waits for a restart, has not succeeded.
		if c.always {
			continue
		}
		if c.stage != ended || c.code != 0 {
			return corev1.PodFailed
		}
	}
	return corev1.PodSucceeded
}

func (l *life) containerStatus(now time.Time, pod *corev1.Pod, c *container) corev1.ContainerStatus {
	s := corev1.ContainerStatus{
		Name:         c.spec.Name,
		Image:        c.spec.Image,
		Ready:        l.readyNow[c] || c.init && c.stage == ended && c.code == 0,
		RestartCount: max(0, c.starts-1),
	}
	if c.starts > 0 {
		s.ImageID = "sandbox://" + c.spec.Image
		s.ContainerID = "sandbox://" + string(pod.UID) + "/" + c.spec.Name
	}
	if c.last != nil {
		s.LastTerminationState.Terminated = c.last
	}
	started := c.stage == running && !now.Before(c.startedAt())
	s.Started = &started
	switch c.stage {
	case waiting:
		s.State.Waiting = &corev1.ContainerStateWaiting{Reason: c.reason, Message: c.message}
	case running:
		s.State.Running = &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(c.begun)}
	case ended:
		s.State.Terminated = c.terminated()
	}
	return s
}

func (l *life) conditions(s *corev1.PodStatus, now time.Time, pod *corev1.Pod) {
	set := func(kind corev1.PodConditionType, ok bool, reason, message string) {
		c := l.transition(now, kind, ok, reason, message)
		c.ObservedGeneration = pod.Generation
		s.Conditions = append(s.Conditions, c)
	}
	var lagging []string
	for _, c := range l.main {
		if !l.readyNow[c] {
			lagging = append(lagging, c.spec.Name)
		}
	}
	reason, message := "", ""
	switch {
	case s.Phase == corev1.PodSucceeded:
		reason = "PodCompleted"
	case s.Phase == corev1.PodFailed:
		reason = "PodFailed"
	case !l.ready:
		reason, message = "ContainersNotReady", "containers with unready status: ["+strings.Join(lagging, " ")+"]"
	}
	set(corev1.PodScheduled, true, "", "")
	set(corev1.PodReadyToStartContainers, s.Phase == corev1.PodPending || s.Phase == corev1.PodRunning, "", "")
	if l.initialized {
		set(corev1.PodInitialized, true, "", "")
	} else {
		set(corev1.PodInitialized, false, "ContainersNotInitialized", "containers with incomplete status")
	}
	set(corev1.ContainersReady, l.ready, reason, message)
	ready := l.ready
	if gate := closedGate(pod); ready && gate != "" {
		ready, reason = false, "ReadinessGatesNotReady"
		message = "readiness gate " + gate + " is not true"
	}
	set(corev1.PodReady, ready, reason, message)
}

// closedGate is the first readiness gate whose condition is not true.
func closedGate(pod *corev1.Pod) string {
	for _, g := range pod.Spec.ReadinessGates {
		open := slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == g.ConditionType && c.Status == corev1.ConditionTrue
		})
		if !open {
			return string(g.ConditionType)
		}
	}
	return ""
}

// transition is the condition with the right transition time. The times are kept here,
// since the pod as last seen may be older than what was last written.
func (l *life) transition(now time.Time, kind corev1.PodConditionType, ok bool, reason, message string) corev1.PodCondition {
	c := corev1.PodCondition{
		Type: kind, Status: corev1.ConditionFalse, Reason: reason, Message: message,
		LastTransitionTime: metav1.NewTime(now.Truncate(time.Second)),
	}
	if ok {
		c.Status = corev1.ConditionTrue
	}
	if old, found := l.written[kind]; found && old.Status == c.Status {
		c.LastTransitionTime = old.LastTransitionTime
	}
	l.written[kind] = c
	return c
}
