package cli

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
)

func TestWhyAnswersInSentences(t *testing.T) {
	seen := func(mods ...func(*v1alpha1.Rollout)) rollout.Snapshot {
		r := givenRollout(mods...)
		return rollout.Snapshot{Namespace: r.Namespace, Name: r.Name, Spec: r.Spec, Status: r.Status}
	}
	waiting := func(r rollout.Reason, message string) rollout.Note {
		return rollout.Note{Kind: rollout.Waiting, Reason: r, Message: message}
	}
	run := func(name, hash string, phase v1alpha1.AnalysisPhase, message string) *v1alpha1.AnalysisRun {
		return &v1alpha1.AnalysisRun{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{v1alpha1.PodTemplateHashLabel: hash}},
			Status: v1alpha1.AnalysisRunStatus{Phase: phase, Message: message}}
	}
	told := func(before time.Duration, kind, reason, message string) corev1.Event {
		return corev1.Event{Type: kind, Reason: reason, Message: message, LastTimestamp: ago(before)}
	}
	for name, c := range map[string]struct {
		reasons
		want string
	}{
		"a pause": {reasons{
			state: state{v1alpha1.RolloutPhasePaused, "CanaryPauseStep"}, seen: seen(),
			plan: rollout.Plan{Notes: []rollout.Note{waiting(rollout.NeedsApproval, "the step pauses until somebody promotes the rollout")}},
		}, "shop/web  ॥ Paused  CanaryPauseStep\n" +
			"At step 2 of 3: pause\n" +
			"\nIt waits for\n" +
			"  a person    NeedsApproval: the step pauses until somebody promotes the rollout\n" +
			"              until `kubectl penstock promote web` goes on, `kubectl penstock abort web` takes the update back\n"},
		"pods, said once": {reasons{
			state: state{v1alpha1.RolloutPhaseProgressing, "more replicas need to be updated"}, seen: seen(running),
			plan: rollout.Plan{Wake: epoch.Add(90 * time.Second), Actions: []rollout.Action{rollout.Scale{Hash: "new", From: 1, To: 2}}, Notes: []rollout.Note{
				waiting(rollout.PodsNotAvailable, "weight 50 waits for pods of revision new: 1 available of 2"),
				waiting(rollout.PodsNotAvailable, "weight 50 waits for pods of revision new: 1 available of 2"),
				{Kind: rollout.Event, Reason: rollout.RolloutUpdated, Message: "is no wait"},
			}},
		}, "shop/web  ◌ Progressing  more replicas need to be updated\n" +
			"At step 2 of 3: pause\n" +
			"\nIt waits for\n" +
			"  pods        PodsNotAvailable: weight 50 waits for pods of revision new: 1 available of 2\n" +
			"              until the pods become available\n" +
			"\nNow to be done\n" +
			"  scale new from 1 to 2\n" +
			"\nLooked at again in 90s, and at every change.\n"},
		"what judged against it, and not against another": {reasons{
			state: state{v1alpha1.RolloutPhaseDegraded, "RolloutAborted: no success"}, seen: seen(degraded),
			runs: []*v1alpha1.AnalysisRun{run("web-new-3", "new", v1alpha1.AnalysisPhaseFailed, `Metric "rate" assessed Failed due to failed (1) > failureLimit (0): measured 0.2`),
				run("web-new-2", "new", v1alpha1.AnalysisPhaseSuccessful, ""), run("web-old-2", "old", v1alpha1.AnalysisPhaseFailed, "long ago")},
			events: []corev1.Event{told(5*time.Minute, "Normal", "RolloutUpdated", "Rollout updated to revision 3"), told(time.Minute, "Warning", "RolloutAborted", "aborted")},
		}, "shop/web  ✖ Degraded  RolloutAborted: no success\n" +
			"At step 2 of 3: pause\n" +
			"\nJudged against it\n" +
			"  web-new-3 Failed: Metric \"rate\" assessed Failed due to failed (1) > failureLimit (0): measured 0.2\n" +
			"\nIt waits for nothing.\n" +
			"\nWhat led there\n" +
			"  5m    Normal   RolloutUpdated: Rollout updated to revision 3\n" +
			"  60s   Warning  RolloutAborted: aborted\n"},
		"events that nobody may read": {reasons{
			state: state{v1alpha1.RolloutPhaseDegraded, ""}, seen: seen(degraded), unread: errors.New("events is forbidden"),
		}, "shop/web  ✖ Degraded\n" +
			"At step 2 of 3: pause\n" +
			"\nIt waits for nothing.\n" +
			"\nWhat led there\n" +
			"  the events cannot be read: events is forbidden\n"},
		"nothing": {reasons{state: state{v1alpha1.RolloutPhaseHealthy, ""}, seen: seen(healthy)},
			"shop/web  ✔ Healthy\n\nIt waits for nothing.\n"},
	} {
		t.Run(name, func(t *testing.T) {
			c.display, c.now = "kubectl penstock", epoch
			if d := cmp.Diff(c.want, c.text(false)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestWhyAsksForWhatItShows(t *testing.T) {
	look := func(_ context.Context, config *rest.Config, namespace, name string, now time.Time) (rollout.Snapshot, rollout.Plan, []*v1alpha1.AnalysisRun, error) {
		if config.Host == "" || namespace != "shop" || !now.Equal(epoch) {
			return rollout.Snapshot{}, rollout.Plan{}, nil, errors.New("looked elsewhere")
		}
		return rollout.Snapshot{Namespace: namespace, Name: name}, rollout.Plan{}, nil, nil
	}
	about := corev1.ObjectReference{UID: "uid-web"}
	s := newServer(t, givenRollout(degraded),
		&corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "late"}, InvolvedObject: about, Reason: "RolloutAborted", Message: "aborted", LastTimestamp: ago(time.Second)},
		&corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "early"}, InvolvedObject: about, Reason: "RolloutUpdated", Message: "begun", LastTimestamp: ago(time.Minute)},
		&corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "other"}, InvolvedObject: corev1.ObjectReference{UID: "another"}, Reason: "Other", LastTimestamp: ago(0)})
	got := s.callWith(t.Context(), Options{Look: look, Now: func() time.Time { return epoch }}, "why", "web")
	if got.code != 0 || strings.Contains(got.out, "Other") || strings.Index(got.out, "begun") > strings.Index(got.out, "aborted\n") {
		t.Errorf("%+v", got)
	}
	if got := s.callWith(t.Context(), Options{Look: look, Now: func() time.Time { return epoch }}, "why", "nobody"); got.code != 1 || !strings.Contains(got.err, `rollout.argoproj.io "nobody" not found`) {
		t.Errorf("%+v", got)
	}
	if got := s.call(t.Context(), "why", "web"); got.code != 1 || !strings.Contains(got.err, "this build cannot look at rollouts") {
		t.Errorf("%+v", got)
	}
}
