package kube

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// onRollout changes the Rollout of a namespace.
func onRollout(change func(ro *v1alpha1.Rollout)) func(client.Object) {
	return func(o client.Object) {
		if ro, is := o.(*v1alpha1.Rollout); is {
			change(ro)
		}
	}
}

// onSet changes the ReplicaSet of an image.
func onSet(image string, change func(rs *appsv1.ReplicaSet)) func(client.Object) {
	return func(o client.Object) {
		if rs, is := o.(*appsv1.ReplicaSet); is && rs.Spec.Template.Spec.Containers[0].Image == "penstock/demo:"+image {
			change(rs)
		}
	}
}

func sized(n int32) func(*appsv1.ReplicaSet) {
	return func(rs *appsv1.ReplicaSet) { rs.Spec.Replicas = &n }
}

// counted are the pods in the status: all, and those of the new revision.
func counted(st *v1alpha1.RolloutStatus, all, updated int32) {
	st.Replicas, st.ReadyReplicas, st.AvailableReplicas, st.HPAReplicas, st.UpdatedReplicas = all, all, all, all, updated
}

// routedTo sets the weights on the VirtualService and in the status.
func routedTo(stable, canary int64) func(client.Object) {
	return func(o client.Object) {
		switch o := o.(type) {
		case *v1alpha1.Rollout:
			w := o.Status.Canary.Weights
			w.Stable.Weight, w.Canary.Weight = int32(stable), int32(canary)
		case *unstructured.Unstructured:
			for _, r := range slice(o.Object, "spec", "http") {
				for i, to := range slice(r, "route") {
					to["weight"] = []int64{stable, canary}[i]
				}
			}
		}
	}
}

// cutOver points the stable, or active, Service at the new revision.
func cutOver() func(client.Object) {
	hash := ""
	return func(o client.Object) {
		switch o := o.(type) {
		case *v1alpha1.Rollout: // it comes first
			hash = o.Status.CurrentPodHash
		case *corev1.Service:
			o.Spec.Selector[hashLabel] = hash
		}
	}
}

// aborted is the status after a person has aborted.
func aborted(st *v1alpha1.RolloutStatus) {
	progresses(st, "RolloutAborted: Rollout aborted update to revision 2")
	st.Phase, st.Abort, st.AbortedAt, st.CurrentStepIndex = v1alpha1.RolloutPhaseDegraded, true, st.Duration.RolloutStartedAt, ptr(int32(0))
	st.Duration.FinishedAt, st.Duration.CompletionStatus = st.AbortedAt, v1alpha1.CompletionAborted
	for i := range st.Conditions {
		if c := &st.Conditions[i]; c.Type == v1alpha1.RolloutProgressing {
			c.Status, c.Reason, c.Message = corev1.ConditionFalse, "RolloutAborted", "Rollout aborted update to revision 2"
		}
	}
}

// untested takes the header route away, as an abort does.
func untested(o client.Object) {
	if u, is := o.(*unstructured.Unstructured); is && u.GetKind() == "VirtualService" {
		spec := u.Object["spec"].(map[string]any)
		spec["http"] = spec["http"].([]any)[1:]
	}
}

// backToStable points the canary Service at stable.
func backToStable() func(client.Object) {
	hash := ""
	return func(o client.Object) {
		switch o := o.(type) {
		case *v1alpha1.Rollout:
			hash = o.Status.StableRS
		case *corev1.Service:
			if o.Name == "web-canary" {
				o.Spec.Selector[hashLabel] = hash
			}
		}
	}
}

// unavailable takes so many pods of a revision from the available ones.
func (w *world) unavailable(image string, n int32) {
	w.t.Helper()
	rs := w.sets()["penstock/demo:"+image]
	rs.Status.ReadyReplicas -= n
	rs.Status.AvailableReplicas -= n
	if err := w.client.Status().Update(context.Background(), rs); err != nil {
		w.t.Fatal(err)
	}
	w.writes = nil
}

// promoted is the status of a canary just after its promotion.
func promoted(ro *v1alpha1.Rollout) {
	st := &ro.Status
	progresses(st, "")
	st.Phase, st.StableRS, st.CurrentStepIndex = v1alpha1.RolloutPhaseHealthy, st.CurrentPodHash, ptr(int32(len(ro.Spec.Strategy.Canary.Steps)))
	st.Canary.Weights.Stable.PodTemplateHash = st.CurrentPodHash
	st.Duration.FinishedAt, st.Duration.CompletionStatus = st.Duration.RolloutStartedAt, v1alpha1.CompletionPromoted
	for i := range st.Conditions {
		if st.Conditions[i].Type == v1alpha1.RolloutCompleted {
			st.Conditions[i].Status = corev1.ConditionTrue
		}
	}
	counted(st, 8, 4)
}

// progresses takes the pause away: the rollout waits for something else.
func progresses(st *v1alpha1.RolloutStatus, message string) {
	st.PauseConditions, st.ControllerPause = nil, false
	st.Phase, st.Message = v1alpha1.RolloutPhaseProgressing, message
	st.Duration.ManualPauseStartedAt = nil
	for i := range st.Conditions {
		switch c := &st.Conditions[i]; c.Type {
		case v1alpha1.RolloutProgressing:
			c.Status, c.Reason, c.Message = corev1.ConditionTrue, "ReplicaSetUpdated", `ReplicaSet "web-`+st.CurrentPodHash+`" is progressing.`
		case v1alpha1.RolloutPaused:
			c.Status = corev1.ConditionFalse
		}
	}
}

// madeRun creates an AnalysisRun as the published controller makes it.
func (w *world) madeRun(suffix, kind, step string, phase v1alpha1.AnalysisPhase) {
	w.t.Helper()
	ro := w.rollout()
	hash := ro.Status.CurrentPodHash
	ar := &v1alpha1.AnalysisRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-" + hash + "-2" + suffix,
			Labels:          map[string]string{"app": "web", hashLabel: hash, typeLabel: kind},
			Annotations:     map[string]string{revisionKey: "2"},
			OwnerReferences: []metav1.OwnerReference{ownerOf(ro)}, CreationTimestamp: metav1.NewTime(w.now.Add(-45e9))},
		Status: v1alpha1.AnalysisRunStatus{Phase: phase},
	}
	if step != "" {
		ar.Labels[stepLabel] = step
	}
	w.create(ar)
	w.create(template("errors"))
	w.writes = nil
}

var errorsTemplate = v1alpha1.RolloutAnalysis{Templates: []v1alpha1.AnalysisTemplateRef{{TemplateName: "errors"}}}

// place is where the published controller has left a rollout.
type place struct {
	of     string
	change []func(client.Object)
	and    func(w *world)
	// want is the one write that puts something right, "" for none.
	want string
}

var otherPlaces = map[string]place{
	"a person has paused the spec too": {of: "canary-at-a-pause", change: []func(client.Object){onRollout(func(ro *v1alpha1.Rollout) {
		ro.Spec.Paused, ro.Status.Message = true, "manually paused"
	})}},
	"a canary with a size of its own": {of: "canary-at-a-pause", change: []func(client.Object){onRollout(func(ro *v1alpha1.Rollout) {
		c := ro.Spec.Strategy.Canary
		c.Steps = append([]v1alpha1.CanaryStep{{SetCanaryScale: &v1alpha1.SetCanaryScale{Replicas: ptr(int32(3))}}}, c.Steps...)
		ro.Status.CurrentStepIndex, ro.Status.CurrentStepHash = ptr(int32(2)), v1alpha1.StepHash(c.Steps)
		counted(&ro.Status, 7, 3)
	}), onSet("v2", sized(3))}},
	"ping and pong": {of: "canary-at-a-pause", change: []func(client.Object){onRollout(func(ro *v1alpha1.Rollout) {
		c := ro.Spec.Strategy.Canary
		c.PingPong, c.StableService, c.CanaryService = &v1alpha1.PingPongSpec{PingService: "web-canary", PongService: "web-stable"}, "", ""
		w := ro.Status.Canary.Weights
		w.Stable.ServiceName, w.Canary.ServiceName = "", ""
	})}},
	"at least two pods for each revision": {of: "canary-at-a-pause", change: []func(client.Object){onRollout(func(ro *v1alpha1.Rollout) {
		ro.Spec.Strategy.Canary.MinPodsPerReplicaSet = ptr(int32(2))
		counted(&ro.Status, 6, 2)
	}), onSet("v2", sized(2))}},
	"an analysis step that runs": {of: "canary-at-a-pause", change: []func(client.Object){onRollout(func(ro *v1alpha1.Rollout) {
		c, st := ro.Spec.Strategy.Canary, &ro.Status
		c.Steps[1] = v1alpha1.CanaryStep{Analysis: &errorsTemplate}
		st.CurrentStepHash = v1alpha1.StepHash(c.Steps)
		st.Canary.CurrentStepAnalysisRunStatus = &v1alpha1.RolloutAnalysisRunStatus{Name: "web-" + st.CurrentPodHash + "-2-1", Status: v1alpha1.AnalysisPhaseRunning}
		progresses(st, "more replicas need to be updated")
	})}, and: func(w *world) { w.madeRun("-1", "Step", "1", v1alpha1.AnalysisPhaseRunning) }},
	"an analysis step that cannot tell": {of: "canary-at-a-pause", change: []func(client.Object){onRollout(func(ro *v1alpha1.Rollout) {
		c, st := ro.Spec.Strategy.Canary, &ro.Status
		c.Steps[1] = v1alpha1.CanaryStep{Analysis: &errorsTemplate}
		st.CurrentStepHash = v1alpha1.StepHash(c.Steps)
		st.Canary.CurrentStepAnalysisRunStatus = &v1alpha1.RolloutAnalysisRunStatus{Name: "web-" + st.CurrentPodHash + "-2-1", Status: v1alpha1.AnalysisPhaseInconclusive}
		st.PauseConditions[0].Reason, st.Message = v1alpha1.PauseReasonInconclusiveAnalysis, "InconclusiveAnalysisRun"
	})}, and: func(w *world) { w.madeRun("-1", "Step", "1", v1alpha1.AnalysisPhaseInconclusive) }},
	"pods that are still to come": {of: "canary-at-a-pause", change: []func(client.Object){onRollout(func(ro *v1alpha1.Rollout) {
		st := &ro.Status
		st.CurrentStepIndex = ptr(int32(0))
		progresses(st, "more replicas need to be updated")
		st.ReadyReplicas, st.AvailableReplicas = 4, 4
	}), routedTo(100, 0)}, and: func(w *world) { w.unavailable("v2", 1) }},
	"a canary by pods that was aborted": {of: "canary-by-pods", change: []func(client.Object){onRollout(func(ro *v1alpha1.Rollout) {
		st := &ro.Status
		aborted(st)
		counted(st, 4, 0)
	}), onSet("v1", sized(4)), onSet("v2", sized(0)), backToStable()}},
	"a promoted canary whose former pods wait": {of: "canary-at-a-pause", change: []func(client.Object){onRollout(promoted),
		cutOver(), routedTo(100, 0), onSet("v2", sized(4)), onSet("v1", func(rs *appsv1.ReplicaSet) {
			rs.Annotations[deadlineKey] = "2026-01-02T03:04:25Z"
		})}},
	"blue-green whose tests have passed": {of: "bluegreen-before-promotion", change: []func(client.Object){onRollout(func(ro *v1alpha1.Rollout) {
		ro.Spec.Strategy.BlueGreen.PrePromotionAnalysis = &errorsTemplate
		ro.Status.BlueGreen.PrePromotionAnalysisRunStatus = &v1alpha1.RolloutAnalysisRunStatus{Name: "web-" + ro.Status.CurrentPodHash + "-2-pre", Status: v1alpha1.AnalysisPhaseSuccessful}
	})}, and: func(w *world) { w.madeRun("-pre", "PrePromotion", "", v1alpha1.AnalysisPhaseSuccessful) }},
	"blue-green with a small preview": {of: "bluegreen-before-promotion", change: []func(client.Object){onRollout(func(ro *v1alpha1.Rollout) {
		ro.Spec.Strategy.BlueGreen.PreviewReplicaCount = ptr(int32(1))
		ro.Status.Replicas, ro.Status.UpdatedReplicas = 5, 1
	}), onSet("v2", sized(1))}},
	"blue-green measured after its cutover": {of: "bluegreen-before-promotion", change: []func(client.Object){onRollout(func(ro *v1alpha1.Rollout) {
		st := &ro.Status
		ro.Spec.Strategy.BlueGreen.PostPromotionAnalysis = &errorsTemplate
		st.BlueGreen.PostPromotionAnalysisRunStatus = &v1alpha1.RolloutAnalysisRunStatus{Name: "web-" + st.CurrentPodHash + "-2-post", Status: v1alpha1.AnalysisPhaseRunning}
		st.BlueGreen.ActiveSelector, st.Selector = st.CurrentPodHash, "app=web,"+hashLabel+"="+st.CurrentPodHash
		progresses(st, "waiting for analysis to complete")
		for i := range st.Conditions {
			switch c := &st.Conditions[i]; c.Type {
			case v1alpha1.RolloutProgressing:
				c.Reason, c.Message = "NewReplicaSetAvailable", `ReplicaSet "web-`+st.CurrentPodHash+`" has successfully progressed.`
			case v1alpha1.RolloutHealthy:
				c.Status, c.Message = corev1.ConditionTrue, "Rollout is healthy"
			}
		}
	}), cutOver()}, and: func(w *world) { w.madeRun("-post", "PostPromotion", "", v1alpha1.AnalysisPhaseRunning) }},
}

func TestTakingOverAtOtherPlacesMovesNothing(t *testing.T) { takeOver(t, otherPlaces) }

func takeOver(t *testing.T, places map[string]place) {
	t.Helper()
	for name, p := range places {
		t.Run(name, func(t *testing.T) {
			w := inherited(t, p.of, p.change...)
			if p.and != nil {
				p.and(w)
			}
			before, sizes := w.rollout().Status, w.sizes()
			if plans := w.plans(10); p.want == "" && len(plans) > 0 {
				t.Errorf("plans %v", plans)
			}
			// The Gateway API's router asks the API server with a dry run before it writes.
			got := slices.Compact(slices.DeleteFunc(w.writes, func(s string) bool { return s == "status Rollout web" }))
			if p.want == "" && len(got) > 0 || p.want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], p.want)) {
				t.Errorf("writes %v, want %q", got, p.want)
			}
			w.sameStatus(before)
			if d := cmp.Diff(sizes, w.sizes()); d != "" {
				t.Errorf("pods (-before +after):\n%s", d)
			}
		})
	}
}

var putRight = map[string]place{
	"a Service without our mark": {of: "canary-at-a-pause", change: []func(client.Object){func(o client.Object) {
		if o.GetName() == "web-stable" {
			o.SetAnnotations(nil)
		}
	}}, want: "patch Service web-stable"},
	"a mark of anti-affinity on what has become stable": {of: "subsets", change: []func(client.Object){onSet("v1", func(rs *appsv1.ReplicaSet) {
		rs.Spec.Template.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
			PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{Weight: 10, PodAffinityTerm: corev1.PodAffinityTerm{
				TopologyKey: hostTopology, LabelSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
					{Key: hashLabel, Operator: metav1.LabelSelectorOpIn, Values: []string{"earlier"}}}}}}}}}
	})}, want: "patch ReplicaSet"},
	"the subset of an aborted canary": {of: "subsets", change: []func(client.Object){onRollout(func(ro *v1alpha1.Rollout) {
		st := &ro.Status
		aborted(st)
	}), untested, routedTo(100, 0), onSet("v2", func(rs *appsv1.ReplicaSet) { rs.Annotations[deadlineKey] = "2026-01-02T03:04:25Z" })},
		want: "update DestinationRule web"},
	"a header route of the Gateway API plugin": {of: "http-route", change: []func(client.Object){onRollout(func(ro *v1alpha1.Rollout) {
		c := ro.Spec.Strategy.Canary
		c.TrafficRouting.ManagedRoutes = []v1alpha1.MangedRoutes{{Name: "testers"}}
		c.Steps = append([]v1alpha1.CanaryStep{{SetHeaderRoute: &v1alpha1.SetHeaderRoute{Name: "testers", Match: []v1alpha1.HeaderRoutingMatch{
			{HeaderName: "x-tester", HeaderValue: &v1alpha1.StringMatch{Exact: "yes"}}}}}}, c.Steps...)
		ro.Status.CurrentStepIndex, ro.Status.CurrentStepHash = ptr(int32(2)), v1alpha1.StepHash(c.Steps)
	}), func(o client.Object) {
		if u, is := o.(*unstructured.Unstructured); is {
			spec := u.Object["spec"].(map[string]any)
			spec["rules"] = append(spec["rules"].([]any), map[string]any{
				"name":        "testers",
				"matches":     []any{map[string]any{"headers": []any{map[string]any{"name": "x-tester", "type": "Exact", "value": "yes"}}}},
				"backendRefs": []any{map[string]any{"group": "", "kind": "Service", "name": "web-canary", "port": int64(80)}},
			})
		}
	}}, want: "update HTTPRoute web"},
	"a Deployment that was scaled to 0 for us": {of: "workload-reference", change: []func(client.Object){onRollout(func(ro *v1alpha1.Rollout) {
		ro.Spec.WorkloadRef.ScaleDown = v1alpha1.ScaleDownOnSuccess
	})}, want: "patch Rollout web"},
}

// Where we do better than the published controller, taking over puts that right: no pod, no
// weight and no position moves for it. docs/upgrade.md lists these writes.
func TestTakingOverPutsRight(t *testing.T) { takeOver(t, putRight) }

// sizes are the wanted pods of each revision.
func (w *world) sizes() map[string]int32 {
	w.t.Helper()
	sizes := map[string]int32{}
	for image, rs := range w.sets() {
		sizes[image] = *rs.Spec.Replicas
	}
	return sizes
}
