package cli

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// podView is a pod as kubectl lists it.
type podView struct {
	status                 string
	ready, total, restarts int32
	// sidecarRestarts is the part of restarts that still counts once the pod is initialized.
	sidecarRestarts int32
}

// viewPod follows the rules by which `kubectl get pods` fills STATUS, READY and RESTARTS.
func viewPod(p *corev1.Pod) podView {
	v := podView{status: string(p.Status.Phase), total: int32(len(p.Spec.Containers))}
	if p.Status.Reason != "" {
		v.status = p.Status.Reason
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Reason == corev1.PodReasonSchedulingGated {
			v.status = corev1.PodReasonSchedulingGated
		}
	}
	if initializing := v.initContainers(p); !initializing || holds(p, corev1.PodInitialized) {
		v.containers(p)
	}
	if p.DeletionTimestamp != nil {
		switch {
		case p.Status.Reason == "NodeLost":
			v.status = "Unknown"
		case p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed:
			v.status = "Terminating"
		}
	}
	return v
}

// initContainers reports whether one of them is still at work; its state is then the
// pod's. Sidecars count among the containers once they have started.
func (v *podView) initContainers(p *corev1.Pod) (initializing bool) {
	sidecar := map[string]bool{}
	for i := range p.Spec.InitContainers {
		if always := p.Spec.InitContainers[i].RestartPolicy; always != nil && *always == corev1.ContainerRestartPolicyAlways {
			sidecar[p.Spec.InitContainers[i].Name] = true
			v.total++
		}
	}
	for i := range p.Status.InitContainerStatuses {
		c := &p.Status.InitContainerStatuses[i]
		v.restarts += c.RestartCount
		if sidecar[c.Name] {
			v.sidecarRestarts += c.RestartCount
		}
		ended, waiting := c.State.Terminated, c.State.Waiting
		switch {
		case ended != nil && ended.ExitCode == 0:
			continue
		case sidecar[c.Name] && c.Started != nil && *c.Started:
			if c.Ready {
				v.ready++
			}
			continue
		case ended != nil:
			v.status = "Init:" + endReason(ended)
		case waiting != nil && waiting.Reason != "" && waiting.Reason != "PodInitializing":
			v.status = "Init:" + waiting.Reason
		default:
			v.status = fmt.Sprintf("Init:%d/%d", i, len(p.Spec.InitContainers))
		}
		return true
	}
	return false
}

// containers gives the pod the reason of its first container that has one.
func (v *podView) containers(p *corev1.Pod) {
	running := false
	v.restarts = v.sidecarRestarts
	for i := len(p.Status.ContainerStatuses) - 1; i >= 0; i-- {
		c := &p.Status.ContainerStatuses[i]
		v.restarts += c.RestartCount
		switch {
		case c.State.Waiting != nil && c.State.Waiting.Reason != "":
			v.status = c.State.Waiting.Reason
		case c.State.Terminated != nil:
			v.status = endReason(c.State.Terminated)
		case c.Ready && c.State.Running != nil:
			running = true
			v.ready++
		}
	}
	if v.status == "Completed" && running {
		v.status = "NotReady"
		if holds(p, corev1.PodReady) {
			v.status = "Running"
		}
	}
}

func endReason(t *corev1.ContainerStateTerminated) string {
	switch {
	case t.Reason != "":
		return t.Reason
	case t.Signal != 0:
		return fmt.Sprintf("Signal:%d", t.Signal)
	}
	return fmt.Sprintf("ExitCode:%d", t.ExitCode)
}

func holds(p *corev1.Pod, condition corev1.PodConditionType) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == condition {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
