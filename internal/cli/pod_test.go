package cli

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestAPodIsShownAsKubectlListsIt(t *testing.T) {
	waiting := func(reason string) corev1.ContainerState {
		return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}
	}
	ended := func(reason string, code, signal int32) corev1.ContainerState {
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: reason, ExitCode: code, Signal: signal}}
	}
	runs := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	pending := func(p *corev1.Pod) { p.Status.Phase, p.Status.ContainerStatuses = corev1.PodPending, nil }
	container := func(state corev1.ContainerState, restarts int32) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "web", State: state, RestartCount: restarts}}
		}
	}
	initial := func(state corev1.ContainerState, restarts int32) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			pending(p)
			p.Spec.InitContainers = []corev1.Container{{Name: "a"}, {Name: "b"}}
			p.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "a", State: ended("Completed", 0, 0), RestartCount: 1}, {Name: "b", State: state, RestartCount: restarts}}
		}
	}
	sidecar := func(p *corev1.Pod) {
		always, yes := corev1.ContainerRestartPolicyAlways, true
		p.Spec.InitContainers = []corev1.Container{{Name: "s", RestartPolicy: &always}}
		p.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "s", Started: &yes, Ready: true, State: runs, RestartCount: 2}}
	}
	beside := func(p *corev1.Pod) {
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "job"})
		p.Status.ContainerStatuses = append([]corev1.ContainerStatus{{Name: "job", State: ended("Completed", 0, 0)}}, p.Status.ContainerStatuses...)
	}
	condition := func(kind corev1.PodConditionType, status corev1.ConditionStatus, reason string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: kind, Status: status, Reason: reason})
		}
	}
	deleted := func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: epoch} }
	because := func(reason string) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Status.Reason = reason }
	}
	for name, c := range map[string]struct {
		mods []func(*corev1.Pod)
		icon string
		want podView
	}{
		"a ready pod":                      {nil, iconOK, podView{status: "Running", ready: 1, total: 1}},
		"a pod that waits for a node":      {[]func(*corev1.Pod){pending}, iconProgressing, podView{status: "Pending", total: 1}},
		"a gated pod":                      {[]func(*corev1.Pod){pending, condition(corev1.PodScheduled, "False", "SchedulingGated")}, "", podView{status: "SchedulingGated", total: 1}},
		"a pod whose image is fetched":     {[]func(*corev1.Pod){pending, container(waiting("ContainerCreating"), 0)}, iconProgressing, podView{status: "ContainerCreating", total: 1}},
		"an image that cannot be had":      {[]func(*corev1.Pod){pending, container(waiting("ImagePullBackOff"), 0)}, iconWarning, podView{status: "ImagePullBackOff", total: 1}},
		"an image with a bad name":         {[]func(*corev1.Pod){pending, container(waiting("InvalidImageName"), 0)}, iconBad, podView{status: "InvalidImageName", total: 1}},
		"a container that cannot start":    {[]func(*corev1.Pod){container(waiting("CreateContainerConfigError"), 0)}, iconWarning, podView{status: "CreateContainerConfigError", total: 1}},
		"a container that keeps crashing":  {[]func(*corev1.Pod){container(waiting("CrashLoopBackOff"), 7)}, iconBad, podView{status: "CrashLoopBackOff", total: 1, restarts: 7}},
		"a container that ended by signal": {[]func(*corev1.Pod){container(ended("", 137, 9), 1)}, iconBad, podView{status: "Signal:9", total: 1, restarts: 1}},
		"a container that ended by code":   {[]func(*corev1.Pod){container(ended("", 2, 0), 0)}, iconBad, podView{status: "ExitCode:2", total: 1}},
		"a container that ended in error":  {[]func(*corev1.Pod){container(ended("Error", 1, 0), 0)}, iconWarning, podView{status: "Error", total: 1}},
		"a container that is not ready":    {[]func(*corev1.Pod){container(runs, 0)}, iconOK, podView{status: "Running", total: 1}},
		"a container beside a finished one": {[]func(*corev1.Pod){beside, condition(corev1.PodReady, "True", "")}, iconOK,
			podView{status: "Running", ready: 1, total: 2}},
		"a pod that is not ready beside a finished one": {[]func(*corev1.Pod){beside}, "", podView{status: "NotReady", ready: 1, total: 2}},
		"a first init container is done":                {[]func(*corev1.Pod){initial(runs, 0)}, iconProgressing, podView{status: "Init:1/2", total: 1, restarts: 1}},
		"an init container that crashes":                {[]func(*corev1.Pod){initial(waiting("CrashLoopBackOff"), 3)}, iconBad, podView{status: "Init:CrashLoopBackOff", total: 1, restarts: 4}},
		"an init container that failed":                 {[]func(*corev1.Pod){initial(ended("", 3, 0), 0)}, iconBad, podView{status: "Init:ExitCode:3", total: 1, restarts: 1}},
		"an init container that was killed":             {[]func(*corev1.Pod){initial(ended("Error", 1, 0), 0)}, iconWarning, podView{status: "Init:Error", total: 1, restarts: 1}},
		"an init container about to start":              {[]func(*corev1.Pod){initial(waiting("PodInitializing"), 0)}, iconProgressing, podView{status: "Init:1/2", total: 1, restarts: 1}},
		"init containers are done":                      {[]func(*corev1.Pod){initial(ended("", 0, 0), 5), container(waiting("PodInitializing"), 0)}, iconProgressing, podView{status: "PodInitializing", total: 1}},
		"a sidecar counts as a container":               {[]func(*corev1.Pod){sidecar}, iconOK, podView{status: "Running", ready: 2, total: 2, restarts: 2}},
		"a pod that goes":                               {[]func(*corev1.Pod){deleted}, iconProgressing, podView{status: "Terminating", ready: 1, total: 1}},
		"a pod that goes on a lost node":                {[]func(*corev1.Pod){deleted, because("NodeLost")}, iconUnknown, podView{status: "Unknown", ready: 1, total: 1}},
		"an evicted pod":                                {[]func(*corev1.Pod){pending, because("Evicted")}, "", podView{status: "Evicted", total: 1}},
	} {
		got := viewPod(givenPod("web-new", "a", time.Minute, c.mods...))
		got.sidecarRestarts = 0
		if got != c.want {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
		mustEqual(t, name, podIcon(got.status), c.icon)
	}
}
