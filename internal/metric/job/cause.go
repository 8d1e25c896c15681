package job

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/penstock-io/penstock/internal/metric"
)

// maxText bounds a text that is quoted from outside, in bytes.
const maxText = 500

// noImage are the reasons for which a container waits without hope.
var noImage = []string{"ErrImagePull", "ImagePullBackOff", "InvalidImageName"}

// imageErrors lists the containers whose image cannot be had, each with the published
// sentence and a newline.
func imageErrors(pods []corev1.Pod) string {
	var b strings.Builder
	for _, pod := range byName(pods) {
		if pod.DeletionTimestamp != nil {
			continue // another one takes its place
		}
		for _, c := range containers(pod) {
			if w := c.State.Waiting; w != nil && slices.Contains(noImage, w.Reason) {
				fmt.Fprintf(&b, "Pod %s, container %s has terminal error (%s): %s\n", pod.Name, c.Name, w.Reason, w.Message)
			}
		}
	}
	return b.String()
}

// failure says why the Job failed: what the Job says, and what its pods said last.
func failure(c *batchv1.JobCondition, pods []corev1.Pod, r metric.Request) string {
	text := cmp.Or(joined(": ", c.Reason, c.Message), "the Job failed")
	return line(joined("; ", text, lastWords(pods, r)), r)
}

// lastWords is how the container that ended badly last did so; without one, why a pod did.
func lastWords(pods []corev1.Pod, r metric.Request) string {
	var last *corev1.ContainerStateTerminated
	var words string
	for _, pod := range byName(pods) {
		if pod.Status.Reason != "" && last == nil {
			words = joined(": ", "pod "+pod.Name, pod.Status.Reason, clip(line(pod.Status.Message, r)))
		}
		for _, c := range containers(pod) {
			for _, t := range []*corev1.ContainerStateTerminated{c.LastTerminationState.Terminated, c.State.Terminated} {
				if t == nil || t.ExitCode == 0 || last != nil && !later(t, last) {
					continue
				}
				last = t
				words = joined(": ", fmt.Sprintf("container %s of pod %s ended with exit code %d", c.Name, pod.Name, t.ExitCode),
					t.Reason, clip(line(t.Message, r)))
			}
		}
	}
	return words
}

// later orders terminations; of two in the same second the one that says something counts.
func later(t, than *corev1.ContainerStateTerminated) bool {
	if t.FinishedAt.Equal(&than.FinishedAt) {
		return t.Message != "" && than.Message == ""
	}
	return than.FinishedAt.Before(&t.FinishedAt)
}

func containers(pod *corev1.Pod) []corev1.ContainerStatus {
	return slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses)
}

func byName(pods []corev1.Pod) []*corev1.Pod {
	sorted := make([]*corev1.Pod, len(pods))
	for i := range pods {
		sorted[i] = &pods[i]
	}
	slices.SortFunc(sorted, func(a, b *corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	return sorted
}

// joined joins the parts that are not empty.
func joined(by string, parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), by)
}

// clip shortens to maxText bytes, at the border of a character.
func clip(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= maxText {
		return s
	}
	cut := maxText - len("…")
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
