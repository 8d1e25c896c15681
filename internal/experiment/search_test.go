package experiment

import (
	"flag"
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// trial is one random life of an Experiment whose pods a Rollout sends traffic to, with
// pods that come and go, people, lost actions and lost status writes. The Rollout's side
// is the one of doc.go, on caches that are as old as can be: it lists whatever it likes,
// and sends only after it has read that the Experiment is on.
type trial struct {
	*world
	r *rand.Rand
	// listed and sending are the Rollout's, by hash; lastSent is when traffic ended.
	listed, sending map[string]bool
	lastSent        map[string]time.Time
	broken          []string
}

var (
	lives = flag.Int("lives", 600, "how many random Experiments to live through")
	first = flag.Int("first", 0, "seed of the first one")
)

func newTrial(t testing.TB, seed int64, decide func(Snapshot) Plan) *trial {
	mods := []mod{templates(aTemplate("a", withService("s-a"), replicas(2)), aTemplate("b")), measuredBy("x!", "y"), deadline(120)}
	r := rand.New(rand.NewSource(seed))
	if r.Intn(2) == 0 {
		mods = append(mods, lasting("2m"))
	}
	mods = append(mods, delay([]int32{0, 30}[r.Intn(2)]))
	w := &trial{world: newWorld(t, mods...), r: r, listed: map[string]bool{}, sending: map[string]bool{}, lastSent: map[string]time.Time{}}
	w.decide = decide
	if r.Intn(4) == 0 {
		w.taken["exp-a"] = ""
	}
	return w
}

func (w *trial) breach(format string, args ...any) {
	w.broken = append(w.broken, fmt.Sprintf(format, args...))
}

// on is what the Rollout reads live before it sends.
func (w *trial) on(hash string) bool {
	st := &w.s.Status
	if st.Phase != running || w.s.Spec.Terminate {
		return false
	}
	for _, ts := range st.TemplateStatuses {
		if ts.PodTemplateHash == hash && ts.ServiceName != "" && ts.Status == v1alpha1.TemplateStatusRunning {
			return true
		}
	}
	return false
}

func (w *trial) rollout() {
	for _, s := range w.s.Sets {
		w.listed[s.Hash] = w.listed[s.Hash] || w.r.Intn(4) == 0 && s.Template != "b"
	}
	for _, h := range slices.Sorted(maps.Keys(w.listed)) {
		switch w.r.Intn(3) {
		case 0:
			w.sending[h] = w.sending[h] || w.listed[h] && w.on(h)
		case 1:
			if w.sending[h] {
				w.sending[h], w.lastSent[h] = false, w.s.Now
			}
		default:
			w.listed[h] = w.listed[h] && w.sending[h]
		}
	}
}

// lookAtRollout brings what the Rollout lists.
func (w *trial) lookAtRollout() {
	w.look()
	for i := range w.s.Sets {
		w.s.Sets[i].Routed = w.listed[w.s.Sets[i].Hash]
	}
	for i := range w.s.Services {
		w.s.Services[i].Routed = w.listed[w.s.Services[i].Hash]
	}
}

// round is one pass with things happening between its parts.
func (w *trial) round() {
	w.lookAtRollout()
	seen := w.s
	seen.Status, seen.Sets, seen.Services, seen.Runs = *w.s.Status.DeepCopy(), slices.Clone(w.s.Sets), slices.Clone(w.s.Services), slices.Clone(w.s.Runs)
	for range w.r.Intn(6) {
		w.rollout()
	}
	p := w.decide(seen)
	w.s.Refused = nil
	w.r.Shuffle(len(p.Actions), func(i, j int) { p.Actions[i], p.Actions[j] = p.Actions[j], p.Actions[i] })
	for _, a := range p.Actions {
		w.judgeAction(seen, a)
		if w.r.Intn(6) > 0 {
			w.apply(a)
		}
	}
	w.judgeStatus(seen, p.Status)
	if w.r.Intn(8) > 0 {
		w.s.Status = *p.Status.DeepCopy()
	}
}

// judgeAction checks one action against the laws, at the moment at which it is done.
func (w *trial) judgeAction(seen Snapshot, a Action) {
	ended := seen.Spec.Terminate || seen.Status.Phase.Completed()
	switch a := a.(type) {
	case EnsureSet, EnsureService, StartRun:
		if ended {
			w.breach("%s of an experiment that is over", a)
		}
	case Scale:
		h := w.set(a.Set).Hash
		if a.To < a.From && w.sending[h] {
			w.breach("%s takes pods that get traffic", a)
		}
		if d := time.Duration(w.s.Spec.ScaleDownDelaySecondsOrDefault()) * time.Second; a.To == 0 && w.s.Now.Before(w.lastSent[h].Add(d)) {
			w.breach("%s before the delay is over", a)
		}
	case DeleteService:
		for _, s := range seen.Services {
			if s.Name == a.Name && w.sending[s.Hash] {
				w.breach("%s takes the service that traffic arrives over", a)
			}
		}
		for _, s := range seen.Sets {
			if slices.ContainsFunc(seen.Services, func(x Service) bool { return x.Name == a.Name && x.Hash == s.Hash && x.Template == s.Template }) &&
				seen.Spec.Templates[0].Name == s.Template && s.Available > 0 && s.Desired > 0 {
				w.breach("%s before its pods", a)
			}
		}
	case PointService:
		for _, s := range seen.Services {
			if s.Name == a.Name && w.sending[s.Hash] {
				w.breach("%s moves traffic behind the rollout's back", a)
			}
		}
	}
}

// judgeStatus checks what is said about pods and runs.
func (w *trial) judgeStatus(seen Snapshot, st v1alpha1.ExperimentStatus) {
	for i := range seen.Spec.Templates {
		t := &seen.Spec.Templates[i]
		ts := templateStatus(st.TemplateStatuses, t.Name)
		if ts == nil || ts.Status != v1alpha1.TemplateStatusRunning {
			continue
		}
		ok := slices.ContainsFunc(seen.Sets, func(s Set) bool {
			return s.Template == t.Name && (s.Hash == Hash(&t.Template, nil) || s.Hash == Hash(&t.Template, ts.CollisionCount)) &&
				s.Observed && s.Available == t.ReplicasOrDefault()
		})
		if !ok {
			w.breach("template %s is Running without its pods", t.Name)
		}
	}
	for _, n := range []string{"x", "y"} {
		live := 0
		for _, r := range w.s.Runs {
			if strings.HasPrefix(r.Name, "exp-"+n) && !r.Terminating && !r.Phase.Completed() {
				live++
			}
		}
		if live > 1 {
			w.breach("analysis %s is measured %d times at once", n, live)
		}
	}
}

// happen lets the cluster and people do something.
func (w *trial) happen() {
	for i := range w.s.Sets {
		s := &w.s.Sets[i]
		switch w.r.Intn(3) {
		case 0:
			s.Actual, s.Ready, s.Available, s.Observed = s.Desired, s.Desired, s.Desired, true
		case 1: // a size that the counters do not know of yet
			s.Observed = s.Actual == s.Desired
		}
		if w.r.Intn(12) == 0 && s.Available > 0 {
			s.Available--
		}
	}
	for i := range w.s.Runs {
		r := &w.s.Runs[i]
		switch n := w.r.Intn(20); {
		case r.Phase.Completed():
		case n < 6:
			r.Phase = running
		case n < 8 && r.Terminating:
			r.Phase = succeeded
		case n == 8:
			r.Phase = []v1alpha1.AnalysisPhase{succeeded, succeeded, failed, unsure}[w.r.Intn(4)]
		}
	}
	switch w.r.Intn(60) {
	case 0:
		w.s.Spec.Terminate = true
	case 1, 2:
		w.s.Status, w.s.Spec.Terminate = v1alpha1.ExperimentStatus{}, false
	case 3, 4, 5, 6, 7:
		w.s.Spec.Templates[0].Template.Spec.Containers[0].Image = []string{"a", "z"}[w.r.Intn(2)]
	case 8, 9:
		w.s.Spec.Templates[0].Replicas = ptr(int32(w.r.Intn(3)))
	case 10:
		name := []string{"a", "c"}[w.r.Intn(2)] // one is taken out, another one put in
		w.s.Spec.Templates[0].Name, w.s.Spec.Templates[0].Service = name, &v1alpha1.TemplateService{Name: "s-" + name}
	case 11:
		if n := len(w.s.Sets); n > 0 {
			i := w.r.Intn(n)
			w.s.Sets = slices.Delete(w.s.Sets, i, i+1)
		}
	}
	w.later(time.Duration(w.r.Intn(12)) * time.Second)
}

// calm lets everything work, and the Rollout end its traffic.
func (w *trial) calm(rounds int) {
	for range rounds {
		for h := range w.listed {
			if !w.on(h) {
				w.sending[h], w.listed[h] = false, false
			}
		}
		w.up()
		for i := range w.s.Runs {
			if r := &w.s.Runs[i]; r.Terminating && !r.Phase.Completed() {
				r.Phase = succeeded
			}
		}
		w.lookAtRollout()
		p := w.decide(w.s)
		w.s.Refused = nil
		for _, a := range p.Actions {
			w.apply(a)
		}
		w.s.Status = *p.Status.DeepCopy()
		w.later(20 * time.Second)
	}
}

// end checks that a fresh attempt comes up, and that it can be ended.
func (w *trial) end() {
	w.s.Status, w.s.Spec.Terminate, w.s.Spec.Duration = v1alpha1.ExperimentStatus{}, false, ""
	w.calm(12)
	if w.s.Status.Phase != running {
		w.breach("it does not come up: %s %q", w.s.Status.Phase, w.s.Status.Message)
	}
	w.s.Spec.Terminate = true
	w.calm(12)
	if !w.s.Status.Phase.Completed() {
		w.breach("it does not end: %s", w.s.Status.Phase)
	}
	for _, s := range w.s.Sets {
		if s.Desired > 0 {
			w.breach("%s keeps its pods", s.Name)
		}
	}
	for _, r := range w.s.Runs {
		if !r.Phase.Completed() {
			w.breach("%s goes on", r.Name)
		}
	}
	if len(w.s.Services) > 0 {
		w.breach("services are left: %v", w.s.Services)
	}
}

// live runs one seed and returns the laws that break first.
func live(t testing.TB, seed int64, decide func(Snapshot) Plan) string {
	w := newTrial(t, seed, decide)
	for range 80 {
		w.round()
		w.happen()
		w.rollout()
		if len(w.broken) > 0 {
			return strings.Join(w.broken, "; ")
		}
	}
	w.end()
	return strings.Join(w.broken, "; ")
}

func TestSearchFindsNoBrokenLaw(t *testing.T) {
	for seed := *first; seed < *first+*lives; seed++ {
		if law := live(t, int64(seed), Decide); law != "" {
			t.Fatalf("%s\nonce more: go test ./internal/experiment -run TestSearchFindsNoBrokenLaw -first %d -lives 1", law, seed)
		}
	}
}
