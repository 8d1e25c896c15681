package cli

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// past is the history of web: revision 1 was replaced, 2 taken back, 3 is stable, 4 is new.
func past(mods ...func(*v1alpha1.Rollout)) []client.Object {
	ro := givenRollout(mods...)
	ro.ManagedFields = []metav1.ManagedFieldsEntry{
		{Manager: "kubectl-edit", Time: &metav1.Time{Time: epoch.Add(-time.Hour)}, FieldsV1: &metav1.FieldsV1{Raw: []byte(`{"f:spec":{"f:template":{}}}`)}},
		{Manager: "argocd-controller", Time: &metav1.Time{Time: epoch.Add(-time.Minute)}, FieldsV1: &metav1.FieldsV1{Raw: []byte(`{"f:spec":{"f:replicas":{},"f:template":{"f:spec":{}}}}`)}},
		{Manager: "autoscaler", Time: &metav1.Time{Time: epoch}, FieldsV1: &metav1.FieldsV1{Raw: []byte(`{"f:spec":{"f:replicas":{}}}`)}},
		{Manager: "rollouts-controller", Subresource: "status", Time: &metav1.Time{Time: epoch}, FieldsV1: &metav1.FieldsV1{Raw: []byte(`{"f:spec":{"f:template":{}}}`)}},
		{Manager: "odd", Time: &metav1.Time{Time: epoch}, FieldsV1: &metav1.FieldsV1{Raw: []byte(`{"f:spec":7}`)}},
	}
	bad := givenRun("web-bad-2", "2", v1alpha1.AnalysisPhaseFailed, 3*time.Hour)
	bad.Labels, bad.Status.Message = map[string]string{v1alpha1.PodTemplateHashLabel: "bad"}, `Metric "rate" assessed Failed`
	first, second, third := givenSet("first", "1", "web:1.0", 0, 48*time.Hour), givenSet("bad", "2", "web:1.1", 0, 4*time.Hour), givenSet("old", "3", "web:1.2", 4, 2*time.Hour)
	second.Annotations[v1alpha1.ChangedByAnnotation], second.Annotations[changeCause] = "kubectl-set", "a faster parser"
	for _, rs := range []*appsv1.ReplicaSet{second, third} { // and more than the image: probes, variables, a label, a sidecar, a volume
		t := &rs.Spec.Template
		t.Labels = map[string]string{"tier": rs.Name}
		t.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "A", Value: rs.Name}, {Name: "B", Value: rs.Name}}
		t.Spec.Volumes = []corev1.Volume{{Name: "tmp"}}
	}
	third.Spec.Template.Spec.Volumes[0].EmptyDir = &corev1.EmptyDirVolumeSource{}
	third.Spec.Template.Spec.InitContainers = []corev1.Container{{Name: "migrate"}}
	fourth := givenSet("new", "4", "web:1.3", 1, 5*time.Minute)
	fourth.Spec.Template = *third.Spec.Template.DeepCopy()
	fourth.Spec.Template.Spec.Containers[0].Image = "web:1.3"
	return []client.Object{ro, bad, first, second, third, fourth}
}

func TestHistorySaysHowEachRevisionEnded(t *testing.T) {
	const older = "3         web:1.2  120m  4     -     -                  web.image,labels,web.env +2  stable      \n" +
		"2         web:1.1  4h    0     -     kubectl-set        web.image,labels,web.env +1  taken back  web-bad-2 Failed: Metric \"rate\" assessed Failed\n" +
		"1         web:1.0  2d    0     -     -                  -                            replaced    by revision 2\n"
	for name, c := range map[string]struct {
		mods []func(*v1alpha1.Rollout)
		want string
	}{
		"an update that waits": {nil, "4         web:1.3  5m    1     -     argocd-controller  web.image                    under way   Paused - CanaryPauseStep\n" + older},
		"one that was aborted": {[]func(*v1alpha1.Rollout){degraded, func(r *v1alpha1.Rollout) { r.Status.Abort = true }},
			"4         web:1.3  5m    1     -     argocd-controller  web.image                    aborted     RolloutAborted: no success\n" + older},
		"one that took 90 s, of which a person took 30": {[]func(*v1alpha1.Rollout){func(r *v1alpha1.Rollout) {
			r.Status.Duration = &v1alpha1.RolloutDuration{RolloutStartedAt: new(ago(5 * time.Minute)), FinishedAt: new(ago(3*time.Minute + 30*time.Second)), TotalManualPauseDurationSeconds: 30}
		}}, "4         web:1.3  5m    1     60s   argocd-controller  web.image                    under way   Paused - CanaryPauseStep\n" + older},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, past(c.mods...)...)
			got := s.callWith(t.Context(), Options{Now: func() time.Time { return epoch }}, "history", "web")
			want := "REVISION  IMAGES   AGE   PODS  TOOK  CHANGED BY         CHANGED                      ENDED       WHY\n" + c.want
			trimmed := ""
			for line := range strings.Lines(want) {
				trimmed += strings.TrimRight(line, " \n") + "\n"
			}
			if got.code != 0 {
				t.Fatalf("%+v", got)
			}
			mustEqual(t, "the history", got.out, trimmed)
		})
	}
}

func TestHistoryForPrograms(t *testing.T) {
	s := newServer(t, past()...)
	got := s.callWith(t.Context(), Options{Now: func() time.Time { return epoch }}, "history", "web", "-o", "json")
	var all []chapter
	if err := json.Unmarshal([]byte(got.out), &all); err != nil || len(all) != 4 {
		t.Fatalf("%v: %+v", err, got)
	}
	if c := all[0]; c.Revision != 4 || c.Hash != "new" || c.Ended != isUnderWay || c.ChangedBy != "argocd-controller" || c.Pods != 1 {
		t.Errorf("%+v", c)
	}
	if c := all[2]; c.ChangedBy != "kubectl-set" || c.Cause != "a faster parser" || strings.Join(c.Changed, " ") != "web.image labels web.env volumes" {
		t.Errorf("%+v", c)
	}
	if got := s.call(t.Context(), "history", "web", "-o", "xml"); got.code != 1 || !strings.Contains(got.err, `--output: want json, got "xml"`) {
		t.Errorf("%+v", got)
	}
	if got := newServer(t, givenRollout()).call(t.Context(), "history", "web", "-o", "json"); got.out != "[]\n" {
		t.Errorf("without ReplicaSets: %+v", got)
	}
}

func TestHistoryKnowsOfOlderUpdatesWhatTheNextRevisionRemembers(t *testing.T) {
	note := func(hash, revision, previous string) *appsv1.ReplicaSet {
		rs := givenSet(hash, revision, "web:1."+revision, 0, time.Hour)
		rs.Annotations[v1alpha1.PreviousUpdateAnnotation] = previous
		return rs
	}
	s := newServer(t, givenRollout(),
		note("new", "6", `{"hash":"old","status":"Promoted","seconds":300}`),
		note("old", "5", `{"hash":"d","status":"Superseded","seconds":30}`),
		note("d", "4", `{"hash":"c","status":"Aborted","message":"RolloutAborted: Rollout aborted update to revision 3","seconds":61}`),
		note("c", "3", `{"hash":"b","status":"Promoted","seconds":3600}`),
		note("b", "2", `{"hash":"c","status":"Promoted","seconds":5}`), // of an earlier time that c was wanted
		note("a", "1", `junk`))
	got := s.callWith(t.Context(), Options{Now: func() time.Time { return epoch }}, "history", "web")
	want := "REVISION  IMAGES   AGE  PODS  TOOK  CHANGED BY  CHANGED    ENDED       WHY\n" +
		"6         web:1.6  60m  0     -     -           web.image  under way   Paused - CanaryPauseStep\n" +
		"5         web:1.5  60m  0     5m    -           web.image  stable\n" +
		"4         web:1.4  60m  0     30s   -           web.image  superseded  by revision 5\n" +
		"3         web:1.3  60m  0     61s   -           web.image  aborted     RolloutAborted: Rollout aborted update to revision 3\n" +
		"2         web:1.2  60m  0     60m   -           web.image  replaced    by revision 3\n" +
		"1         web:1.1  60m  0     -     -           -          replaced    by revision 2\n"
	if got.code != 0 || got.out != want {
		t.Errorf("%+v\nwant\n%s", got, want)
	}
}
