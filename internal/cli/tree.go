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
	columns columns
	below   []node
	// calm: nobody misses this line when there is no room for all.
	calm bool
}

// columns are those beside the name; the last two are shown on a wide picture.
type columns struct{ kind, status, age, info, node, images string }

// tree is the Rollout over its revisions, newest first; in each its ReplicaSets with
// their pods, then its Experiments, then its AnalysisRuns with their Jobs.
func (w *world) tree(p paint) node {
	below := map[int64][]node{}
	for _, rs := range w.sets() {
		below[revisionOf(rs)] = append(below[revisionOf(rs)], w.setNode(rs, w.roles(rs), p))
	}
	for _, x := range w.trials() {
		below[revisionOf(x)] = append(below[revisionOf(x)], w.trialNode(x, p))
	}
	for _, run := range w.analyses() {
		below[revisionOf(run)] = append(below[revisionOf(run)], w.runNode(run, p))
	}
	now := observed(&w.rollout)
	root := node{name: "⟳ " + w.rollout.Name,
		columns: columns{kind: "Rollout", status: p.status(rolloutIcon(now.phase), string(now.phase)), age: w.age(w.rollout.CreationTimestamp)}}
	numbers := slices.Sorted(maps.Keys(below))
	slices.Reverse(numbers)
	for _, n := range numbers {
		root.below = append(root.below, node{name: fmt.Sprintf("# revision:%d", n), below: below[n]})
	}
	return root
}

// trialNode is an Experiment over its ReplicaSets, then its AnalysisRuns.
func (w *world) trialNode(x *v1alpha1.Experiment, p paint) node {
	phase := x.Status.Phase
	n := node{name: "Σ " + x.Name, columns: columns{kind: "Experiment", status: p.status(analysisIcon(phase), string(phase)), age: w.age(x.CreationTimestamp)}}
	for _, rs := range w.setsOf(x) {
		n.below = append(n.below, w.setNode(rs, nil, p))
	}
	for _, run := range w.analysesOf(x) {
		n.below = append(n.below, w.runNode(run, p))
	}
	return n
}

func (w *world) setNode(rs *appsv1.ReplicaSet, roles []string, p paint) node {
	icon, health := setHealth(rs)
	info := p.roles(roles, ",")
	if delay := w.delay(rs); delay != "" {
		info = strings.TrimPrefix(info+","+delay, ",")
	}
	var images []string
	for _, c := range rs.Spec.Template.Spec.Containers {
		images = append(images, c.Image)
	}
	n := node{name: "⧉ " + rs.Name, columns: columns{kind: "ReplicaSet", status: p.status(icon, health),
		age: w.age(rs.CreationTimestamp), info: info, images: strings.Join(images, ",")}}
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
	return node{name: "□ " + pod.Name, calm: v.status == "Running" && v.ready == v.total, columns: columns{kind: "Pod",
		status: p.status(podIcon(v.status), v.status), age: w.age(pod.CreationTimestamp), info: info, node: pod.Spec.NodeName}}
}

func (w *world) runNode(run *v1alpha1.AnalysisRun, p paint) node {
	phase := run.Status.Phase
	n := node{name: "α " + run.Name, columns: columns{kind: "AnalysisRun",
		status: p.status(analysisIcon(phase), string(phase)), age: w.age(run.CreationTimestamp), info: tally(run, p)}}
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
			n.below = append(n.below, node{name: "⊞ " + job, columns: columns{kind: "Job", status: p.status(analysisIcon(x.Phase), string(x.Phase)), age: w.age(started)}})
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
