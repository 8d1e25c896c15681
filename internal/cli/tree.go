package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// node is one line of the tree: name with its kind's icon, then the columns.
type node struct {
	name    string
	columns [4]string // KIND STATUS AGE INFO
	below   []node
}

// tree is the Rollout over its revisions, newest first; in each its ReplicaSets with
// their pods, then its AnalysisRuns with their Jobs.
func (w *world) tree(p paint) node {
	below := map[int64][]node{}
	for _, rs := range w.sets() {
		below[revisionOf(rs)] = append(below[revisionOf(rs)], w.setNode(rs, p))
	}
	for _, run := range w.analyses() {
		below[revisionOf(run)] = append(below[revisionOf(run)], w.runNode(run, p))
	}
	now := observed(&w.rollout)
	root := node{name: "⟳ " + w.rollout.Name,
		columns: [4]string{"Rollout", p.status(rolloutIcon(now.phase), string(now.phase)), w.age(w.rollout.CreationTimestamp)}}
	numbers := slices.Sorted(maps.Keys(below))
	slices.Reverse(numbers)
	for _, n := range numbers {
		root.below = append(root.below, node{name: fmt.Sprintf("# revision:%d", n), below: below[n]})
	}
	return root
}

func (w *world) setNode(rs *appsv1.ReplicaSet, p paint) node {
	icon, health := setHealth(rs)
	info := p.roles(w.roles(rs), ",")
	if delay := w.delay(rs); delay != "" {
		info = strings.TrimPrefix(info+","+delay, ",")
	}
	n := node{name: "⧉ " + rs.Name, columns: [4]string{"ReplicaSet", p.status(icon, health), w.age(rs.CreationTimestamp), info}}
	for _, pod := range w.podsOf(rs) {
		n.below = append(n.below, w.podNode(pod, p))
	}
	return n
}

func setHealth(rs *appsv1.ReplicaSet) (icon, health string) {
	for _, c := range rs.Status.Conditions {
		if c.Type == appsv1.ReplicaSetReplicaFailure && c.Status == corev1.ConditionTrue {
			return iconBad, "ReplicaFailure"
		}
	}
	wanted := int32(1)
	if rs.Spec.Replicas != nil {
		wanted = *rs.Spec.Replicas
	}
	switch {
	case rs.Status.ObservedGeneration < rs.Generation, rs.Status.AvailableReplicas < wanted:
		return iconProgressing, "Progressing"
	case wanted == 0:
		return iconNeutral, "ScaledDown"
	}
	return iconOK, "Healthy"
}

// delay is how long the ReplicaSet's pods are still kept, "" when nothing says so.
func (w *world) delay(rs *appsv1.ReplicaSet) string {
	deadline, err := time.Parse(time.RFC3339, rs.Annotations[v1alpha1.ScaleDownDeadlineAnnotation])
	if err != nil {
		return ""
	}
	if left := deadline.Sub(w.now); left > 0 {
		return "delay:" + duration.HumanDuration(left)
	}
	return "delay:passed"
}

func (w *world) podNode(pod *corev1.Pod, p paint) node {
	v := viewPod(pod)
	info := fmt.Sprintf("ready:%d/%d", v.ready, v.total)
	if v.restarts > 0 {
		info += fmt.Sprintf(",restarts:%d", v.restarts)
	}
	return node{name: "□ " + pod.Name, columns: [4]string{"Pod", p.status(podIcon(v.status), v.status), w.age(pod.CreationTimestamp), info}}
}

func (w *world) runNode(run *v1alpha1.AnalysisRun, p paint) node {
	phase := run.Status.Phase
	n := node{name: "α " + run.Name, columns: [4]string{"AnalysisRun", p.status(analysisIcon(phase), string(phase)), w.age(run.CreationTimestamp), tally(run, p)}}
	for _, m := range run.Status.MetricResults {
		for _, x := range m.Measurements {
			job := x.Metadata["job-name"]
			if job == "" {
				continue
			}
			var started metav1.Time
			if x.StartedAt != nil {
				started = *x.StartedAt
			}
			n.below = append(n.below, node{name: "⊞ " + job, columns: [4]string{"Job", p.status(analysisIcon(x.Phase), string(x.Phase)), w.age(started)}})
		}
	}
	return n
}

// tally counts a run's measurements by outcome: "✔ 4,✖ 1".
func tally(run *v1alpha1.AnalysisRun, p paint) string {
	var good, bad, undecided, broken int32
	for _, m := range run.Status.MetricResults {
		good, bad, undecided, broken = good+m.Successful, bad+m.Failed, undecided+m.Inconclusive, broken+m.Error
	}
	var parts []string
	for _, part := range []struct {
		icon  string
		count int32
	}{{iconOK, good}, {iconBad, bad}, {iconUnknown, undecided}, {iconWarning, broken}} {
		if part.count > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", p.icon(part.icon), part.count))
		}
	}
	return strings.Join(parts, ",")
}

// age is the time since then, "" when it is not known.
func (w *world) age(since metav1.Time) string {
	if since.IsZero() {
		return ""
	}
	return duration.HumanDuration(max(0, w.now.Sub(since.Time)))
}
