package experiment

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

func TestATemplateThatIsMissingEndsTheExperimentBeforeItRuns(t *testing.T) {
	for name, c := range map[string]struct {
		cluster bool
		want    string
	}{
		"in the namespace": {false, `AnalysisTemplate verification failed for analysis 'x': gone`},
		"in the cluster":   {true, `ClusterAnalysisTemplate verification failed for analysis 'x': gone`},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, measuredBy("x"))
			w.s.Spec.Analyses[0].ClusterScope = c.cluster
			w.s.Missing = map[string]string{"x": "gone"}
			w.work(4)
			w.phase("without its template", errored, c.want)
			if n := w.told("Warning AnalysisRunError AnalysisRun 'x' transitioned from  -> Error: " + c.want); n != 1 {
				t.Errorf("events %s", strings.Join(w.events, "\n"))
			}
			if len(w.s.Runs) > 0 {
				t.Errorf("runs %+v", w.s.Runs)
			}
		})
	}
}

func TestARunThatCannotBeMadeEndsTheExperiment(t *testing.T) {
	const want = "Failed to create AnalysisRun for analysis 'x': args.a was not resolved"
	w := newWorld(t, measuredBy("x"))
	w.refused["start analysis exp-x"] = "args.a was not resolved"
	w.work(6)
	w.phase("after the refusal", errored, want)
}

// Covers: defect 28.
func TestEventsOfRunsReachTheRolloutWithTheirType(t *testing.T) {
	w := newWorld(t, measuredBy("x", "y"))
	w.work(6)
	for phase, kind := range map[v1alpha1.AnalysisPhase]NoteKind{running: Event, succeeded: Event, failed: Warning, errored: Warning, unsure: Warning} {
		s := w.s
		s.Runs = slices.Clone(s.Runs)
		s.Runs[0].Phase = phase
		want := Note{Kind: kind, Owner: true, Reason: "AnalysisRun" + Reason(phase),
			Message: "AnalysisRun 'x' transitioned from Pending -> " + string(phase)}
		if got := Decide(s).Notes; !slices.Contains(got, want) {
			t.Errorf("%s: %+v", phase, got)
		}
	}
	for _, n := range w.plan.Notes {
		if n.Owner && !strings.HasPrefix(string(n.Reason), "AnalysisRun") {
			t.Errorf("the rollout is told %+v", n)
		}
	}
}

func TestARunIsStartedOnceAndFollowed(t *testing.T) {
	w := newWorld(t, measuredBy("x"))
	w.work(8)
	if n := strings.Count(strings.Join(w.log, "\n"), "start analysis"); n != 1 {
		t.Fatalf("%d starts in %v", n, w.log)
	}
	t.Run("it is asked for again while nobody has seen it", func(t *testing.T) {
		v := *w
		v.s.Runs, v.log = nil, nil
		v.pass()
		if !slices.Equal(v.log, []string{"start analysis exp-x"}) {
			t.Errorf("did %v", v.log)
		}
	})
	t.Run("a lost status write does not double it", func(t *testing.T) {
		v := *w
		v.s.Status = *v.s.Status.DeepCopy()
		v.s.Status.AnalysisRuns, v.log = nil, nil
		v.pass()
		if len(v.log) > 0 || v.s.Status.AnalysisRuns[0].AnalysisRun != "exp-x" {
			t.Errorf("did %v, %+v", v.log, v.s.Status.AnalysisRuns)
		}
	})
	t.Run("one that has ended is not used again", func(t *testing.T) {
		v := *w
		v.s.Status, v.s.Runs = *v.s.Status.DeepCopy(), slices.Clone(v.s.Runs)
		v.s.Status.AnalysisRuns, v.log = nil, nil
		v.s.Runs[0].Phase = succeeded
		v.pass()
		if !slices.Equal(v.log, []string{"start analysis exp-x.1"}) {
			t.Errorf("did %v", v.log)
		}
	})
}

func TestANameOfARunThatIsTaken(t *testing.T) {
	w := newWorld(t, measuredBy("x", "x.1"))
	w.taken["exp-x"] = ""
	w.work(8)
	var got []string
	for _, r := range w.s.Status.AnalysisRuns {
		got = append(got, r.Name+"="+r.AnalysisRun)
	}
	// exp-x.1 is the name of the other analysis' run.
	if d := cmp.Diff([]string{"x=exp-x.2", "x.1=exp-x.1"}, got); d != "" {
		t.Error(d)
	}
}

// Covers: defect 28.
func TestArguments(t *testing.T) {
	secret := &v1alpha1.ValueFrom{SecretKeyRef: &v1alpha1.SecretKeyRef{Name: "s", Key: "k"}}
	v := &view{Snapshot: Snapshot{
		Spec:   aSpec(lasting("90s"), templates(aTemplate("a"), aTemplate("b"))),
		Status: v1alpha1.ExperimentStatus{AvailableAt: &metav1.Time{Time: start}},
		Sets:   []Set{{Template: "a", Name: "exp-a", Hash: "old"}, {Template: "a", Name: "exp-a-2", Hash: "abc", Current: true}},
	}}
	for name, c := range map[string]struct{ value, want, err string }{
		"plain":                     {"x", "x", ""},
		"empty":                     {"", "", ""},
		"a hash":                    {"{{templates.a.podTemplateHash}}", "abc", ""},
		"a name within text":        {`pod=~"{{ templates.a.replicaset.name }}-.*"`, `pod=~"exp-a-2-.*"`, ""},
		"two tags":                  {"{{experiment.availableAt}}/{{experiment.finishedAt}}", "2026-08-17T10:00:00Z/2026-08-17T10:01:30Z", ""},
		"a template without pods":   {"{{templates.b.podTemplateHash}}", "", "failed to resolve {{templates.b.podTemplateHash}}"},
		"a tag that is not known":   {"{{ templates.a.hash }}", "", "failed to resolve {{ templates.a.hash }}"},
		"a tag without an end":      {"x{{templates", "", `Cannot find end tag="}}" in the template="x{{templates" starting from "templates"`},
		"single braces are no tags": {`up{job="x"}`, `up{job="x"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := v.arguments([]v1alpha1.Argument{{Name: "p", Value: &c.value}, {Name: "q", ValueFrom: secret}})
			if err != nil || c.err != "" {
				if err == nil || err.Error() != c.err {
					t.Errorf("error %v, want %q", err, c.err)
				}
				return
			}
			if d := cmp.Diff([]v1alpha1.Argument{{Name: "p", Value: &c.want}, {Name: "q", ValueFrom: secret}}, got); d != "" {
				t.Error(d)
			}
		})
	}
	v.Spec.Duration = ""
	if _, err := v.arguments([]v1alpha1.Argument{{Name: "p", Value: ptr("{{experiment.finishedAt}}")}}); err == nil {
		t.Error("an end that is not known was resolved")
	}
}

func TestAnArgumentThatCannotBeResolvedEndsTheExperiment(t *testing.T) {
	w := newWorld(t, measuredBy("x"))
	w.s.Spec.Analyses[0].Args = []v1alpha1.Argument{{Name: "p", Value: ptr("{{templates.z.podTemplateHash}}")}}
	w.work(6)
	w.phase("at the start of the analysis", errored, "Failed to create AnalysisRun for analysis 'x': failed to resolve {{templates.z.podTemplateHash}}")
}
