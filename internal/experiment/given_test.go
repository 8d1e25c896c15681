package experiment

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

var start = time.Date(2026, 8, 17, 10, 0, 0, 0, time.UTC)

const (
	pending   = v1alpha1.AnalysisPhasePending
	running   = v1alpha1.AnalysisPhaseRunning
	succeeded = v1alpha1.AnalysisPhaseSuccessful
	failed    = v1alpha1.AnalysisPhaseFailed
	errored   = v1alpha1.AnalysisPhaseError
	unsure    = v1alpha1.AnalysisPhaseInconclusive
)

func ptr[T any](v T) *T { return &v }

type mod = func(*v1alpha1.ExperimentSpec)

// aTemplate runs one pod of its own image, which listens.
func aTemplate(name string, mods ...func(*v1alpha1.TemplateSpec)) v1alpha1.TemplateSpec {
	labels := map[string]string{"app": name}
	t := v1alpha1.TemplateSpec{
		Name: name, Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: name, Ports: []corev1.ContainerPort{{ContainerPort: 80}}}}}},
	}
	for _, m := range mods {
		m(&t)
	}
	return t
}

func withService(name string) func(*v1alpha1.TemplateSpec) {
	return func(t *v1alpha1.TemplateSpec) { t.Service = &v1alpha1.TemplateService{Name: name} }
}

func replicas(n int32) func(*v1alpha1.TemplateSpec) {
	return func(t *v1alpha1.TemplateSpec) { t.Replicas = &n }
}

// aSpec is one template without an end.
func aSpec(mods ...mod) v1alpha1.ExperimentSpec {
	s := v1alpha1.ExperimentSpec{Templates: []v1alpha1.TemplateSpec{aTemplate("a")}}
	for _, m := range mods {
		m(&s)
	}
	return s
}

func templates(list ...v1alpha1.TemplateSpec) mod {
	return func(s *v1alpha1.ExperimentSpec) { s.Templates = list }
}

func lasting(d string) mod {
	return func(s *v1alpha1.ExperimentSpec) { s.Duration = v1alpha1.DurationString(d) }
}

func delay(seconds int32) mod {
	return func(s *v1alpha1.ExperimentSpec) { s.ScaleDownDelaySeconds = &seconds }
}

func deadline(seconds int32) mod {
	return func(s *v1alpha1.ExperimentSpec) { s.ProgressDeadlineSeconds = &seconds }
}

// measuredBy adds analyses; a name that ends in "!" is required for completion.
func measuredBy(names ...string) mod {
	return func(s *v1alpha1.ExperimentSpec) {
		for _, n := range names {
			name, required := strings.CutSuffix(n, "!")
			s.Analyses = append(s.Analyses, v1alpha1.ExperimentAnalysisTemplateRef{Name: name, TemplateName: "t-" + name, RequiredForCompletion: required})
		}
	}
}

// world drives one Experiment as a controller does, on a cluster that does at once what
// it is asked. Pods come up when up says so.
type world struct {
	t      testing.TB
	s      Snapshot
	decide func(Snapshot) Plan
	plan   Plan
	log    []string
	events []string
	// taken are names of objects that are not ours; refused are actions that the API
	// server will not do, with its answer.
	taken, refused map[string]string
}

func newWorld(t testing.TB, mods ...mod) *world {
	return &world{t: t, decide: Decide, s: Snapshot{Now: start, Namespace: "shop", Name: "exp", Spec: aSpec(mods...)},
		taken: map[string]string{}, refused: map[string]string{}}
}

func dump(t testing.TB, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// pass is one look: the laws are checked, the status persisted, the actions done.
func (w *world) pass() Plan {
	w.t.Helper()
	w.look()
	before := dump(w.t, w.s)
	w.plan = w.decide(w.s)
	if again := w.decide(w.s); dump(w.t, again) != dump(w.t, w.plan) {
		w.t.Fatalf("Decide is not deterministic:\n%s\n%s", dump(w.t, w.plan), dump(w.t, again))
	}
	if dump(w.t, w.s) != before {
		w.t.Fatalf("Decide changed its input")
	}
	w.s.Refused = nil
	for _, a := range w.plan.Actions {
		w.log = append(w.log, a.String())
		w.apply(a)
	}
	w.s.Status = *w.plan.Status.DeepCopy()
	for _, n := range w.plan.Notes {
		if n.Kind != Waiting {
			w.events = append(w.events, fmt.Sprintf("%s %s %s", n.Kind, n.Reason, n.Message))
		}
	}
	return w.plan
}

// look brings the facts that the observer computes from the spec.
func (w *world) look() {
	for i := range w.s.Sets {
		s := &w.s.Sets[i]
		s.Current = false
		for j := range w.s.Spec.Templates {
			if t := &w.s.Spec.Templates[j]; t.Name == s.Template {
				st := templateStatus(w.s.Status.TemplateStatuses, t.Name)
				s.Current = Hash(&t.Template, nil) == s.Hash || st != nil && Hash(&t.Template, st.CollisionCount) == s.Hash
			}
		}
	}
}

func (w *world) refuse(a Action, r Refusal) {
	if w.s.Refused == nil {
		w.s.Refused = map[string]Refusal{}
	}
	w.s.Refused[a.String()] = r
}

func (w *world) apply(a Action) {
	if text, is := w.refused[a.String()]; is {
		w.refuse(a, Refusal{Text: text})
		return
	}
	switch a := a.(type) {
	case EnsureSet:
		if _, is := w.taken[a.Name]; is {
			w.refuse(a, Refusal{Taken: true})
			return
		}
		w.s.Sets = append(w.s.Sets, Set{Template: a.Template, Name: a.Name, Hash: a.Hash, Observed: true, Current: true})
	case Scale:
		w.set(a.Set).Desired = a.To
		if a.To == 0 {
			w.set(a.Set).RetireAt = time.Time{}
		}
	case Retire:
		w.set(a.Set).RetireAt, w.set(a.Set).RetireUnreadable = a.At, false
	case EnsureService:
		w.s.Services = append(w.s.Services, Service{Name: a.Name, Template: a.Template, Hash: w.set(a.Set).Hash})
	case PointService:
		for i := range w.s.Services {
			if w.s.Services[i].Name == a.Name {
				w.s.Services[i].Hash = w.set(a.Set).Hash
			}
		}
	case DeleteService:
		w.s.Services = slices.DeleteFunc(w.s.Services, func(s Service) bool { return s.Name == a.Name })
	case StartRun:
		if _, is := w.taken[a.Name]; is {
			w.refuse(a, Refusal{Taken: true})
			return
		}
		if w.run(a.Name) == nil {
			w.s.Runs = append(w.s.Runs, Run{Name: a.Name})
		}
	case StopRun:
		w.run(a.Name).Terminating = true
	}
}

func (w *world) set(name string) *Set {
	w.t.Helper()
	for i := range w.s.Sets {
		if w.s.Sets[i].Name == name {
			return &w.s.Sets[i]
		}
	}
	w.t.Fatalf("no set %s", name)
	return nil
}

func (w *world) run(name string) *Run {
	for i := range w.s.Runs {
		if w.s.Runs[i].Name == name {
			return &w.s.Runs[i]
		}
	}
	return nil
}

// up lets every set have the pods that it asks for.
func (w *world) up() {
	for i := range w.s.Sets {
		s := &w.s.Sets[i]
		s.Actual, s.Ready, s.Available, s.Observed = s.Desired, s.Desired, s.Desired, true
	}
}

// work makes passes a second apart, with pods coming up between them.
func (w *world) work(passes int) {
	w.t.Helper()
	for range passes {
		w.pass()
		w.up()
		w.s.Now = w.s.Now.Add(time.Second)
	}
}

// later lets time go by.
func (w *world) later(d time.Duration) { w.s.Now = w.s.Now.Add(d) }

// says gives a run a phase, as its own controller does.
func (w *world) says(run string, phase v1alpha1.AnalysisPhase, message string) {
	w.t.Helper()
	r := w.run(run)
	if r == nil {
		w.t.Fatalf("no run %s among %v", run, w.s.Runs)
	}
	r.Phase, r.Message = phase, message
}

func (w *world) phase(when string, want v1alpha1.AnalysisPhase, message string) {
	w.t.Helper()
	if st := w.s.Status; st.Phase != want || st.Message != message {
		w.t.Fatalf("%s: %s %q, want %s %q; templates %+v, analyses %+v", when, st.Phase, st.Message, want, message, st.TemplateStatuses, st.AnalysisRuns)
	}
}

func (w *world) template(name string) v1alpha1.TemplateStatus {
	w.t.Helper()
	st := templateStatus(w.s.Status.TemplateStatuses, name)
	if st == nil {
		w.t.Fatalf("no status of template %s", name)
	}
	return *st
}

// did reports whether a line is in the log of actions.
func (w *world) did(line string) bool { return slices.Contains(w.log, line) }

// told counts the events that contain the text.
func (w *world) told(text string) (n int) {
	for _, e := range w.events {
		if strings.Contains(e, text) {
			n++
		}
	}
	return n
}

// quiet fails unless the world matches: an empty plan and the same status (L6).
func (w *world) quiet(when string) {
	w.t.Helper()
	before := dump(w.t, w.s.Status)
	p := w.pass()
	if len(p.Actions) > 0 || dump(w.t, p.Status) != before {
		w.t.Fatalf("%s the plan is not empty: %v\n%s\n%s", when, p.Actions, before, dump(w.t, p.Status))
	}
}
