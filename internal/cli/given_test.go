package cli

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// epoch is the moment at which virtual time starts, and every picture is drawn.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func ago(d time.Duration) metav1.Time { return metav1.NewTime(epoch.Add(-d)) }

// givenRollout is a canary called web in the namespace shop, held by a pause step at
// 25 %; mods change it.
func givenRollout(mods ...func(*v1alpha1.Rollout)) *v1alpha1.Rollout {
	index, replicas, quarter := int32(1), int32(4), int32(25)
	r := &v1alpha1.Rollout{}
	r.Name, r.Namespace, r.UID, r.Generation = "web", "shop", "uid-web", 3
	r.CreationTimestamp = ago(12 * 24 * time.Hour)
	r.Spec.Replicas = &replicas
	r.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
	r.Spec.Strategy.Canary = &v1alpha1.CanaryStrategy{Steps: []v1alpha1.CanaryStep{
		{SetWeight: &quarter}, {Pause: &v1alpha1.RolloutPause{}}, {SetWeight: new(int32(50))}}}
	r.Status = v1alpha1.RolloutStatus{
		Phase: v1alpha1.RolloutPhasePaused, Message: "CanaryPauseStep", ObservedGeneration: "3",
		CurrentPodHash: "new", StableRS: "old", CurrentStepIndex: &index, ControllerPause: true,
		PauseConditions: []v1alpha1.PauseCondition{{Reason: v1alpha1.PauseReasonCanaryPauseStep}},
		Replicas:        5, UpdatedReplicas: 1, ReadyReplicas: 5, AvailableReplicas: 5,
	}
	for _, mod := range mods {
		mod(r)
	}
	return r
}

func in(phase v1alpha1.RolloutPhase, message string) func(*v1alpha1.Rollout) {
	return func(r *v1alpha1.Rollout) { r.Status.Phase, r.Status.Message = phase, message }
}

func running(r *v1alpha1.Rollout) {
	r.Status.PauseConditions, r.Status.ControllerPause = nil, false
	in(v1alpha1.RolloutPhaseProgressing, "more replicas need to be updated")(r)
}

func healthy(r *v1alpha1.Rollout) {
	running(r)
	in(v1alpha1.RolloutPhaseHealthy, "")(r)
	r.Status.StableRS = r.Status.CurrentPodHash
}

func degraded(r *v1alpha1.Rollout) {
	running(r)
	in(v1alpha1.RolloutPhaseDegraded, "RolloutAborted: no success")(r)
	r.Status.Abort = true
}

func controlledBy(kind, name string) []metav1.OwnerReference {
	yes := true
	return []metav1.OwnerReference{{Kind: kind, Name: name, UID: types.UID("uid-" + name), Controller: &yes}}
}

// givenSet is a ReplicaSet of web whose pods are all available.
func givenSet(hash, revision, image string, replicas int32, age time.Duration) *appsv1.ReplicaSet {
	rs := &appsv1.ReplicaSet{}
	rs.Name, rs.Namespace, rs.CreationTimestamp = "web-"+hash, "shop", ago(age)
	rs.UID = types.UID("uid-" + rs.Name)
	rs.Labels = map[string]string{"app": "web", v1alpha1.PodTemplateHashLabel: hash}
	rs.Annotations = map[string]string{v1alpha1.RevisionAnnotation: revision}
	rs.OwnerReferences = controlledBy("Rollout", "web")
	rs.Spec.Replicas = &replicas
	rs.Spec.Template.Spec.Containers = []corev1.Container{{Name: "web", Image: image}}
	rs.Status.Replicas, rs.Status.ReadyReplicas, rs.Status.AvailableReplicas = replicas, replicas, replicas
	return rs
}

// givenPod is a ready pod with one container.
func givenPod(set, suffix string, age time.Duration, mods ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{}
	p.Name, p.Namespace, p.CreationTimestamp = set+"-"+suffix, "shop", ago(age)
	p.Labels = map[string]string{"app": "web"}
	p.OwnerReferences = controlledBy("ReplicaSet", set)
	p.Spec.Containers = []corev1.Container{{Name: "web"}}
	p.Status.Phase = corev1.PodRunning
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "web", Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
	for _, mod := range mods {
		mod(p)
	}
	return p
}

// givenExperiment is a running Experiment of web with one template.
func givenExperiment() *v1alpha1.Experiment {
	x := &v1alpha1.Experiment{}
	x.Name, x.Namespace, x.UID, x.CreationTimestamp = "web-trial", "shop", "uid-web-trial", ago(time.Minute)
	x.Labels = map[string]string{v1alpha1.PodTemplateHashLabel: "new"}
	x.Annotations = map[string]string{v1alpha1.RevisionAnnotation: "7"}
	x.OwnerReferences = controlledBy("Rollout", "web")
	x.Spec.Duration, x.Spec.Templates = "5m", []v1alpha1.TemplateSpec{{Name: "baseline"}}
	available := ago(30 * time.Second)
	x.Status = v1alpha1.ExperimentStatus{Phase: v1alpha1.AnalysisPhaseRunning, AvailableAt: &available,
		TemplateStatuses: []v1alpha1.TemplateStatus{{Name: "baseline", PodTemplateHash: "t1"}},
		AnalysisRuns:     []v1alpha1.ExperimentAnalysisRunStatus{{Name: "smoke", AnalysisRun: "web-trial-smoke"}}}
	return x
}

// givenTrialSet are the pods of givenExperiment.
func givenTrialSet() *appsv1.ReplicaSet {
	rs := givenSet("t1", "", "acme/web:2.3.0", 1, time.Minute)
	rs.Name, rs.UID = "web-trial-baseline", "uid-web-trial-baseline"
	rs.Labels = map[string]string{"track": "baseline", v1alpha1.PodTemplateHashLabel: "t1"}
	rs.Annotations = map[string]string{v1alpha1.ExperimentTemplateNameAnnotation: "baseline"}
	rs.OwnerReferences = controlledBy("Experiment", "web-trial")
	return rs
}

func givenRun(name, revision string, phase v1alpha1.AnalysisPhase, age time.Duration, results ...v1alpha1.MetricResult) *v1alpha1.AnalysisRun {
	run := &v1alpha1.AnalysisRun{}
	run.Name, run.Namespace, run.CreationTimestamp = name, "shop", ago(age)
	run.Labels = map[string]string{v1alpha1.PodTemplateHashLabel: "new"}
	run.Annotations = map[string]string{v1alpha1.RevisionAnnotation: revision}
	run.OwnerReferences = controlledBy("Rollout", "web")
	run.Status.Phase, run.Status.MetricResults = phase, results
	return run
}

func mustEqual(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}
