package sim

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// What people, autoscalers and GitOps do from outside. Each is the patch that the
// published clients send (core.md §9).

// SetImage applies a new template: the first container gets the image.
func (w *World) SetImage(image string) {
	w.Rollout.Spec.Template.Spec.Containers[0].Image = image
	w.Rollout.Generation++
	w.log("image %s", tag(image))
}

// SetReplicas is an autoscaler or a person at the scale subresource.
func (w *World) SetReplicas(n int32) {
	if w.replicas() == 0 {
		w.deaths = w.Now // until pods are back nobody can serve, by the user's own doing
	}
	w.Rollout.Spec.Replicas = &n
	w.Rollout.Generation++
	w.log("replicas %d", n)
}

// SetPaused sets spec.paused.
func (w *World) SetPaused(paused bool) {
	w.Rollout.Spec.Paused = paused
	w.Rollout.Generation++
	w.log("spec.paused %t", paused)
}

// Change edits the spec in any other way.
func (w *World) Change(what string, edit func(*v1alpha1.RolloutSpec)) {
	edit(&w.Rollout.Spec)
	w.Rollout.Generation++
	w.log("%s", what)
}

// Promote resumes a pause; where nothing is paused it skips the step.
func (w *World) Promote() {
	st := &w.Rollout.Status
	w.log("promote")
	if len(st.PauseConditions) > 0 {
		st.PauseConditions = nil
		return
	}
	if st.CurrentStepIndex != nil {
		next := min(*st.CurrentStepIndex+1, int32(len(w.canary().Steps)))
		st.CurrentStepIndex = &next
	}
}

// PromoteFull asks to skip everything that is left.
func (w *World) PromoteFull() {
	w.log("promote full")
	if w.Rollout.Status.StableRS != w.Rollout.Status.CurrentPodHash {
		w.Rollout.Status.PromoteFull = true
	}
}

// Abort and Retry are the plugin's verbs.
func (w *World) Abort() {
	w.log("abort")
	w.Rollout.Status.Abort = true
}

// Retry clears an abort.
func (w *World) Retry() {
	w.log("retry")
	w.Rollout.Status.Abort = false
}

// Drift is GitOps that writes its own weight over the route.
func (w *World) Drift(weight int32) {
	w.log("somebody sets the route to canary weight %d", weight)
	if w.canary().DynamicStableScale {
		w.deaths = w.Now // stable may be small: who is served now is that somebody's doing
	}
	if w.flipped(&w.Rollout.Status) {
		weight = w.total() - weight
	}
	w.route.weight = weight
	w.follow()
}

// Restart is a controller that is replaced.
func (w *World) Restart() {
	w.log("the controller restarts")
	w.forget()
}

// Kill makes pods of a revision unavailable; new ones come up in their place.
func (w *World) Kill(image string, n int) {
	w.log("%d pods of %s die", n, tag(image))
	w.deaths = w.Now
	for _, r := range w.revs {
		if tag(r.image) != tag(image) {
			continue
		}
		for i := range r.pods {
			if n > 0 && !r.pods[i].readyAt.IsZero() && !w.Now.Before(r.pods[i].readyAt) {
				r.pods[i] = pod{created: w.Now}
				if r.readyAfter >= 0 {
					r.pods[i].readyAt = w.Now.Add(r.readyAfter)
				}
				n--
			}
		}
	}
}

// Ready sets how long pods of the image's tag take to become available from now on;
// negative means never.
func (w *World) Ready(image string, after time.Duration) {
	if w.slow == nil {
		w.slow = map[string]time.Duration{}
	}
	w.slow[tag(image)] = after
	for _, r := range w.revs {
		if tag(r.image) == tag(image) {
			r.readyAfter = after
			for i := range r.pods {
				if after >= 0 && r.pods[i].readyAt.IsZero() {
					r.pods[i].readyAt = w.Now.Add(after)
				}
			}
		}
	}
	w.log("pods of %s become ready: %s", tag(image), howSoon(after))
}

func howSoon(after time.Duration) string {
	if after < 0 {
		return "never"
	}
	return "after " + after.String()
}

// readyAfter is how long pods of an image take; images whose tag starts with "broken"
// never come up.
func (w *World) readyAfter(image string) time.Duration {
	if after, ok := w.slow[tag(image)]; ok {
		return after
	}
	if t := tag(image); len(t) >= 6 && t[:6] == "broken" {
		return -1
	}
	return w.ReadyAfter
}

// Break makes the route unusable, with the router's sentence; "" mends it.
func (w *World) Break(problem string) {
	w.log("route problem: %q", problem)
	w.route.problem = problem
}

// Weight is the written canary weight; Live is what the data plane does.
func (w *World) Weight() int32 { return w.ofCanary(w.route.weight) }

// Live is the canary's share as the data plane serves it.
func (w *World) Live() int32 { return w.ofCanary(w.plane.weight) }

// ofCanary is a share of the route's canary side as the canary role's share.
func (w *World) ofCanary(weight int32) int32 {
	if w.flipped(&w.Rollout.Status) {
		return w.total() - weight
	}
	return weight
}

// Serves is the image tag of the revision that a Service, or the active one for "",
// leads to in the data plane.
func (w *World) Serves(service string) string {
	if service == "" {
		service, _ = w.sides()
	}
	return tag(w.imageOf(w.svc(service).live))
}

// Stable is the image tag of the stable revision, "" for none.
func (w *World) Stable() string { return tag(w.imageOf(w.Rollout.Status.StableRS)) }

// Name puts image tags where a text holds pod template hashes.
func (w *World) Name(text string) string { return w.name(text) }

// Runs lists the AnalysisRuns by their name in logs, each with its phase.
func (w *World) Runs() map[string]v1alpha1.AnalysisPhase {
	out := map[string]v1alpha1.AnalysisPhase{}
	for _, r := range w.runs {
		out[w.name(r.name)] = r.status.Phase
	}
	return out
}

// Pods is available and wanted pods of the revision with the image.
func (w *World) Pods(image string) (available, desired int32) {
	for _, r := range w.revs {
		if tag(r.image) == tag(image) {
			return r.available(w.Now), r.desired
		}
	}
	return 0, 0
}

// RestartPods sets spec.restartAt to now.
func (w *World) RestartPods() {
	at := metav1.NewTime(w.Now.Add(time.Second)).Rfc3339Copy()
	w.Rollout.Spec.RestartAt = &at
	w.Rollout.Generation++
	w.log("restart pods")
}

// DeleteRevision is a person who deletes the ReplicaSet of an image's tag.
func (w *World) DeleteRevision(image string) error {
	for _, r := range w.revs {
		if tag(r.image) == tag(image) {
			w.log("somebody deletes the ReplicaSet of %s", tag(image))
			w.deaths = w.Now
			w.remove(r.hash)
			return nil
		}
	}
	return fmt.Errorf("no revision has the image tag %s", image)
}

// Point is a person who changes a Service's selector.
func (w *World) Point(name, image string) error {
	for _, r := range w.revs {
		if tag(r.image) == tag(image) {
			w.log("somebody points service %s at %s", name, tag(image))
			w.deaths = w.Now // who is served now is that person's doing
			w.svc(name).hash = r.hash
			w.follow()
			return nil
		}
	}
	return fmt.Errorf("no revision has the image tag %s", image)
}

// Terminate is a person who ends an AnalysisRun; name is that of the logs.
func (w *World) Terminate(name string) error {
	for _, r := range w.runs {
		if w.name(r.name) == name {
			w.log("somebody terminates analysis %s", name)
			r.spec.Terminate, r.wake = true, w.Now
			return nil
		}
	}
	return fmt.Errorf("there is no run %s", name)
}
