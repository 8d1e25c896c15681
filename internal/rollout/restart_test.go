package rollout

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
)

// evening is when the pods of these tests are to be restarted.
var evening = time.Date(2026, 1, 2, 18, 0, 0, 0, time.UTC)

// fleet is a quiet rollout of revision "one" with n pods from before the restart, which
// was asked for a minute ago.
func fleet(n int32, mods ...func(*Snapshot)) Snapshot {
	at := metav1.NewTime(evening)
	s := Snapshot{Now: evening.Add(time.Minute), Name: "demo", Generation: 1, Number: 1, TemplateHash: "one",
		Revisions: []Revision{{Hash: "one", Name: "demo-one", Number: 1, Current: true, Desired: n, Actual: n, Ready: n, Available: n, Observed: true}},
	}
	s.Spec.Replicas, s.Spec.RestartAt = &n, &at
	s.Spec.Strategy.Canary = &v1alpha1.CanaryStrategy{}
	s.Status.StableRS, s.Status.CurrentPodHash, s.Status.CurrentStepHash = "one", "one", s.StepsHash
	for i := range n {
		s.Pods = append(s.Pods, aged("one", i, time.Duration(n-i)*time.Hour))
	}
	for _, m := range mods {
		m(&s)
	}
	return s
}

// aged is an available pod that was made so long before the restart.
func aged(hash string, i int32, before time.Duration) Pod {
	return Pod{Name: fmt.Sprintf("%s-%d", hash, i), Hash: hash, Created: evening.Add(-before), Available: true}
}

func unavailable(v any) func(*Snapshot) {
	u := intstr.FromString(fmt.Sprint(v))
	if n, ok := v.(int); ok {
		u = intstr.FromInt32(int32(n))
	}
	return func(s *Snapshot) {
		if b := s.Spec.Strategy.BlueGreen; b != nil {
			b.MaxUnavailable = &u
			return
		}
		s.Spec.Strategy.Canary.MaxUnavailable = &u
	}
}

func blue(s *Snapshot) {
	s.Spec.Strategy = v1alpha1.RolloutStrategy{BlueGreen: &v1alpha1.BlueGreenStrategy{ActiveService: "active"}}
	s.Status.CurrentStepHash = ""
}

// beside puts another revision there, with as many pods.
func beside(hash string, n int32, before time.Duration) func(*Snapshot) {
	return func(s *Snapshot) {
		s.Revisions = append([]Revision{{Hash: hash, Name: "demo-" + hash, Number: int64(len(s.Revisions)) + 1, Desired: n, Actual: n, Ready: n, Available: n}}, s.Revisions...)
		for i := range n {
			s.Pods = append(s.Pods, aged(hash, i, before+time.Duration(n-i)*time.Minute))
		}
	}
}

// midUpdate: "two" is the wanted revision, "one" is stable.
func midUpdate(s *Snapshot) {
	for i := range s.Revisions {
		s.Revisions[i].Current = s.Revisions[i].Hash == "two"
	}
	s.TemplateHash, s.Status.CurrentPodHash = "two", "two"
}

func served(weight int32) func(*Snapshot) {
	return func(s *Snapshot) {
		s.Spec.Strategy.Canary.TrafficRouting = &v1alpha1.RolloutTrafficRouting{}
		w := traffic.Two(100, weight, traffic.Destination{Hash: "one"}, traffic.Destination{Hash: "two"})
		s.Routed, s.Traffic = true, traffic.State{Written: w, Live: []traffic.Split{w}, Known: true}
	}
}

func each(name string, f func(*Pod)) func(*Snapshot) {
	return func(s *Snapshot) {
		for i := range s.Pods {
			if strings.HasPrefix(s.Pods[i].Name, name) {
				f(&s.Pods[i])
			}
		}
	}
}

func fresh(p *Pod) { p.Created = evening }
func down(p *Pod)  { p.Available = false }
func going(p *Pod) { p.Deleting, p.Available = true, false }
func held(p *Pod)  { p.Refused = true }

func TestRestartEvicts(t *testing.T) {
	for name, c := range map[string]struct {
		given Snapshot
		want  string // pods in order
		done  bool
	}{
		// Covers: edge 127.
		"three of four pods at once, where 75 % may be missing":           {given: fleet(4, unavailable("75%")), want: "one-0 one-1 one-2"},
		"a quarter by default, from the oldest on":                        {given: fleet(8), want: "one-0 one-1"},
		"one at a time, where a quarter is less than a pod":               {given: fleet(3), want: "one-0"},
		"the only pod there is":                                           {given: fleet(1), want: "one-0"},
		"one at a time, where none may be missing":                        {given: fleet(4, unavailable(0)), want: "one-0"},
		"of blue-green as its own setting says":                           {given: fleet(4, blue, unavailable(2)), want: "one-0 one-1"},
		"of blue-green one at a time, where a quarter is less than a pod": {given: fleet(3, blue), want: "one-0"},
		"nothing while as many are missing as may be":                     {given: fleet(4, each("one-3", down))},
		"the next one once its predecessor is available again":            {given: fleet(4, each("one-0", fresh)), want: "one-1"},
		"nothing while a pod is still on its way out":                     {given: fleet(4, each("one-0", going))},
		// Covers: edge 128.
		"the next pod where a disruption budget keeps one": {given: fleet(4, each("one-0", held)), want: "one-1"},
		"nothing where a disruption budget keeps them all": {given: fleet(4, each("one-", held))},
		// Covers: edge 129.
		"no pod that was made at that very moment": {given: fleet(4, each("one-", fresh)), done: true},
		// Covers: edge 130.
		"with a canary's surplus pods no more than without them": {
			given: fleet(4, beside("two", 2, time.Hour), midUpdate, unavailable(2), each("two-", down)), want: ""},
		"stable first, then the wanted revision, then the others": {
			given: fleet(2, beside("nought", 2, 90*time.Hour), beside("two", 2, 80*time.Hour), midUpdate, unavailable("100%"), func(s *Snapshot) { *s.Spec.Replicas = 6; s.Revisions[1].Created = evening.Add(-time.Hour) },
				unavailable(6)),
			want: "one-0 one-1 two-0 two-1 nought-0 nought-1"},
		"never the last available pod of several that get traffic": {
			given: fleet(4, beside("two", 2, time.Hour), midUpdate, served(25), unavailable("100%")), want: "one-0 one-1 one-2 two-0"},
		"the last one of a revision that gets none": {
			given: fleet(4, beside("two", 2, time.Hour), midUpdate, served(0), unavailable("100%")), want: "one-0 one-1 one-2 two-0"},
		"also in a paused rollout": {given: fleet(3, func(s *Snapshot) { s.Spec.Paused = true }), want: "one-0"},
		"also in an aborted one":   {given: fleet(3, beside("two", 1, -time.Hour), midUpdate, func(s *Snapshot) { s.Status.Abort = true }), want: "one-0"},
		// Covers: edge 131.
		"nothing once the template is another one": {given: fleet(3, func(s *Snapshot) { s.Status.CurrentPodHash = "before" })},
		"nothing before its time":                  {given: fleet(3, func(s *Snapshot) { s.Now = evening.Add(-time.Second) })},
		"nothing a second time":                    {given: fleet(3, func(s *Snapshot) { s.Status.RestartedAt = s.Spec.RestartAt })},
		"again, for another moment":                {given: fleet(3, func(s *Snapshot) { at := metav1.NewTime(evening.Add(-time.Hour)); s.Status.RestartedAt = &at }), want: "one-0"},
		"nothing where nothing is asked for":       {given: fleet(3, func(s *Snapshot) { s.Spec.RestartAt = nil })},
		"nothing while the pods are not known":     {given: fleet(3, func(s *Snapshot) { s.Pods = nil })},
		// Covers: defect 30.
		"and is not done before the new pods are available": {given: fleet(4, each("one-", fresh), each("one-3", down))},
		"and is done at once where there are no pods":       {given: fleet(0, func(s *Snapshot) { s.Pods = []Pod{} }), done: true},
	} {
		t.Run(name, func(t *testing.T) {
			acts, _, done, _ := restarts(newView(&c.given))
			var got []string
			for _, a := range acts {
				got = append(got, a.(Restart).Pod)
			}
			if d := cmp.Diff(c.want, strings.Join(got, " ")); d != "" || done != c.done {
				t.Errorf("done %v: %s", done, d)
			}
		})
	}
}

func TestRestartSaysWhatItWaitsForAndUntilWhen(t *testing.T) {
	for name, c := range map[string]struct {
		given Snapshot
		note  string
		wake  time.Duration // from now on, 0 for none
	}{
		"its time has not come":              {fleet(3, func(s *Snapshot) { s.Now = evening.Add(-time.Hour) }), "", time.Hour},
		"pods remain":                        {fleet(3), "restart: 3 pods are older than 2026-01-02T18:00:00Z", 30 * time.Second},
		"a disruption budget keeps them all": {fleet(3, each("one-", held)), "restart: 3 pods are older than", 30 * time.Second},
		"the new pods are not up":            {fleet(3, each("one-", fresh), each("one-1", down)), "restart: 2 of 3 pods are available again", 0},
		"the pods cannot be read":            {fleet(3, func(s *Snapshot) { s.Pods = nil }), "the pods to restart could not be read", 30 * time.Second},
		"it is through":                      {fleet(3, each("one-", fresh)), "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			_, notes, _, wake := restarts(newView(&c.given))
			text := ""
			for _, n := range notes {
				if text += n.Message; n.Kind != Waiting || n.Reason != Restarting {
					t.Errorf("note %+v", n)
				}
			}
			if !strings.HasPrefix(text, c.note) || c.note == "" && text != "" {
				t.Errorf("note %q", text)
			}
			if c.wake == 0 && !wake.IsZero() || c.wake != 0 && !wake.Equal(c.given.Now.Add(c.wake)) {
				t.Errorf("looks again at %s", wake)
			}
		})
	}
}

// TestRestartNeverEmptiesTheFleet lets pods go and come back one by one: at every moment
// as many are available as must be, and in the end none is old.
func TestRestartNeverEmptiesTheFleet(t *testing.T) {
	for n := int32(1); n <= 12; n++ {
		for _, u := range []any{0, 1, 2, "25%", "75%", "100%"} {
			s := fleet(n, unavailable(u))
			for rounds := 0; ; rounds++ {
				v := newView(&s)
				acts, _, done, _ := restarts(v)
				if done {
					break
				}
				if rounds > 4*int(n) {
					t.Fatalf("%d pods with %v: no end", n, u)
				}
				for _, a := range acts {
					gone := a.(Restart).Pod
					i := slices.IndexFunc(s.Pods, func(p Pod) bool { return p.Name == gone })
					s.Pods[i].Available, s.Pods[i].Created = false, s.Now
				}
				if there, floor := availablePods(s), n-max(v.tolerance(), 1); there < floor {
					t.Fatalf("%d pods with %v: %d available, at least %d must be", n, u, there, floor)
				}
				s.Now = s.Now.Add(time.Second)
				for i := range s.Pods { // one comes up a round
					if !s.Pods[i].Available {
						s.Pods[i].Available = true
						break
					}
				}
			}
		}
	}
}

func availablePods(s Snapshot) (n int32) {
	for _, p := range s.Pods {
		if p.Available {
			n++
		}
	}
	return n
}
