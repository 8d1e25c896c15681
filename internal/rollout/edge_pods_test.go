package rollout_test

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
	"github.com/penstock-io/penstock/internal/sim"
	"github.com/penstock-io/penstock/internal/traffic"
)

// TestOldRevisionsLoseTheirPods goes through core.md §15 "Replica management, abort,
// delays" as far as it is about revisions that are neither stable nor wanted.
func TestOldRevisionsLoseTheirPods(t *testing.T) {
	soon := of("v0", func(r *rollout.Revision) { r.RetireAt = noon.Add(time.Minute) })
	due := of("v0", func(r *rollout.Revision) { r.RetireAt = noon })
	unreadable := of("v0", func(r *rollout.Revision) { r.RetireUnreadable = true })
	selected := func(s *snapshot) { s.Services[1].Hash = "v0" }
	recorded := func(s *snapshot) { // the weights name it, in the data plane only
		d := s.Traffic.Written.Destinations
		s.Traffic.Live = append(s.Traffic.Live, traffic.Two(100, 25, d[0], traffic.Destination{Service: "canary", Hash: "v0"}))
	}
	pinned := func(s *snapshot) { // the canary subset still selects it
		s.Pinned, s.Services = true, nil
		s.Traffic.Written.Destinations[1].Hash = "v0"
		s.Traffic.Live = []traffic.Split{s.Traffic.Written}
	}
	unread := func(s *snapshot) {
		s.Trouble = []rollout.Note{{Kind: rollout.Waiting, Reason: rollout.Unreadable, Message: "get service canary: timeout"}}
	}
	for name, c := range map[string]struct {
		mods []mod
		want []string
	}{
		"one that served gets its delay":     {[]mod{routed(0, "v1"), old("v0", 0, 4, 4)}, []string{"retire v0 at 12:00:30"}}, // Covers: edge 83, defect 17.
		"one that never served goes at once": {[]mod{routed(0, "v1"), old("v0", 0, 4, 0)}, []string{"scale v0 from 4 to 0"}},  // Covers: edge 91.
		// Covers: defect 4.
		"a delay of 0 means at once": {[]mod{routed(0, "v1"), canary(func(c *v1alpha1.CanaryStrategy) { c.ScaleDownDelaySeconds = ptr(int32(0)) }), old("v0", 0, 4, 4)},
			[]string{"scale v0 from 4 to 0"}},
		"a deadline that is to come keeps it":           {[]mod{routed(0, "v1"), old("v0", 0, 4, 4), soon}, nil}, // Covers: edge 91.
		"a deadline that has come ends it":              {[]mod{routed(0, "v1"), old("v0", 0, 4, 4), due}, []string{"scale v0 from 4 to 0"}},
		"a deadline that cannot be read ends it":        {[]mod{routed(0, "v1"), old("v0", 0, 4, 4), unreadable}, []string{"scale v0 from 4 to 0"}},            // Covers: edge 86.
		"one that a Service selects stays":              {[]mod{routed(0, "v2"), updating(1, 0), old("v0", 0, 4, 4), due, selected}, nil},                      // Covers: edge 88.
		"one that the data plane may still serve stays": {[]mod{routed(0, "v2"), updating(1, 0), old("v0", 0, 4, 4), due, recorded}, nil},                      // Covers: edge 88.
		"one that a subset selects stays":               {[]mod{routed(0, "v2"), updating(1, 0), old("v0", 0, 4, 4), due, pinned}, nil},                        // Covers: edge 88, outage 7.
		"nothing goes while something cannot be read":   {[]mod{routed(0, "v1"), old("v0", 0, 4, 4), due, unread}, nil},                                        // Covers: edge 89.
		"none goes while a router's state is not known": {[]mod{routed(0, "v1"), old("v0", 0, 4, 4), due, func(s *snapshot) { s.Traffic.Known = false }}, nil}, // Covers: outage 2.
		// Covers: edge 173.
		"their delay ends with the router":               {[]mod{old("v0", 0, 4, 4), soon}, []string{"scale v0 from 4 to 0"}},
		"without a router they go within maxUnavailable": {[]mod{updating(1, 0), old("v0", 0, 3, 3), pods("v1", 2, 2)}, []string{"scale v0 from 3 to 1"}},                                                                    // Covers: edge 90.
		"without a router pods that are not there first": {[]mod{updating(1, 0), old("v0", 0, 3, 1), pods("v1", 2, 2)}, []string{"scale v0 from 3 to 1"}},                                                                    // Covers: edge 90.
		"without a router the newest of them goes first": {[]mod{updating(1, 0), func(s *snapshot) { s.Revisions[1].Number = 1 }, old("w", -1, 2, 2), old("x", 0, 2, 2), pods("v1", 1, 1)}, []string{"scale x from 2 to 0"}}, // Covers: edge 90.
		"the wanted one loses a deadline that it has":    {[]mod{routed(0, "v2"), updating(1, 0), of("v2", func(r *rollout.Revision) { r.RetireAt = noon.Add(time.Minute) })}, []string{"keep v2"}},                          // Covers: edge 87.
		"a count of zero ends a deadline with the pods":  {[]mod{routed(0, "v1"), func(s *snapshot) { s.Spec.Replicas = ptr(int32(0)) }}, []string{"scale v1 from 4 to 0"}},
	} {
		t.Run(name, func(t *testing.T) { does(t, rollout.Decide(given(c.mods...)), c.want...) })
	}
}

// Covers: edge 97.
func TestMinPodsPerReplicaSet(t *testing.T) {
	floor := func(n int32) mod {
		return canary(func(c *v1alpha1.CanaryStrategy) { c.MinPodsPerReplicaSet = &n })
	}
	for name, c := range map[string]struct {
		mods []mod
		want []string
	}{
		"no pods stay none":      {[]mod{routed(0, "v2"), floor(3), steps(pause()), updating(0, 0)}, nil},
		"one becomes the floor":  {[]mod{routed(0, "v2"), floor(3), updating(1, 1)}, []string{"scale v2 from 1 to 3", "set split Stable v1 75 + Canary v2 25"}},
		"never more than all":    {[]mod{routed(0, "v2"), floor(9), updating(1, 1)}, []string{"scale v2 from 1 to 4", "set split Stable v1 75 + Canary v2 25"}},
		"more than it are more":  {[]mod{routed(0, "v2"), floor(2), steps(weight(75)), updating(1, 1)}, []string{"scale v2 from 1 to 3"}},
		"without a router: none": {[]mod{floor(3), updating(1, 1)}, nil},
	} {
		t.Run(name, func(t *testing.T) { does(t, rollout.Decide(given(c.mods...)), c.want...) })
	}
}

func TestServicesOfACanaryWithoutARouter(t *testing.T) {
	named := func(managed bool, hash string) mod {
		return func(s *snapshot) {
			canary(func(c *v1alpha1.CanaryStrategy) { c.CanaryService = "canary" })(s)
			s.Services = []rollout.Service{{Name: "canary", Exists: true, Managed: managed, Hash: hash}}
		}
	}
	half := steps(weight(50), pause())
	for name, c := range map[string]struct {
		mods []mod
		want []string
	}{
		// Covers: edge 40.
		"ours moves with one pod":                     {[]mod{half, named(true, "v1"), updating(2, 1), pods("v1", 2, 2)}, []string{"point service canary at v2"}},
		"one that is not ours waits for all pods":     {[]mod{half, named(false, ""), updating(2, 1), pods("v1", 2, 2)}, nil},                  // Covers: edge 40.
		"one that is not ours moves with all pods":    {[]mod{half, named(false, ""), updating(2, 2)}, []string{"point service canary at v2"}}, // Covers: edge 40.
		"one that is not ours but right gets a mark":  {[]mod{named(false, "v1")}, []string{"point service canary at v1"}},
		"nothing moves to a revision without a pod":   {[]mod{half, named(true, "v1"), updating(2, 0), pods("v1", 2, 2)}, nil},             // Covers: outage 10.
		"one that does not exist is left to the spec": {[]mod{named(true, "v0"), func(s *snapshot) { s.Services[0].Exists = false }}, nil}, // Covers: edge 174.
	} {
		t.Run(name, func(t *testing.T) { does(t, rollout.Decide(given(c.mods...)), c.want...) })
	}
}

// A first deployment routes nothing before it is whole, or its threshold is met.
//
// Covers: edge 37, outage 9.
func TestNothingIsRoutedToAFirstDeploymentThatIsNotWhole(t *testing.T) {
	half := canary(func(c *v1alpha1.CanaryStrategy) {
		c.ReplicaProgressThreshold = &v1alpha1.ReplicaProgressThreshold{Type: "Percent", Value: 50}
	})
	fresh := func(s *snapshot) {
		s.Status.StableRS = ""
		for i := range s.Services {
			s.Services[i].Managed, s.Services[i].Hash = false, ""
		}
		w := traffic.Two(100, 0, traffic.Destination{Service: "stable"}, traffic.Destination{Service: "canary"})
		s.Traffic = traffic.State{Written: w, Live: []traffic.Split{w}, Known: true}
	}
	whole := []string{"point service stable at v1", "point service canary at v1"}
	for name, c := range map[string]struct {
		mods []mod
		want []string
	}{
		"none of four pods":                {[]mod{pods("v1", 4, 0)}, nil},
		"three of four pods":               {[]mod{pods("v1", 4, 3)}, nil},
		"all of them":                      {nil, whole},
		"one of four, and half are enough": {[]mod{half, pods("v1", 4, 1)}, nil},
		"all, and half are enough":         {[]mod{half}, whole},
	} {
		t.Run(name, func(t *testing.T) {
			does(t, rollout.Decide(given(append([]mod{routed(0, ""), fresh}, append(c.mods, seen)...)...)), c.want...)
		})
	}
}

func TestAbortedCanaries(t *testing.T) {
	delay := func(seconds int32) mod {
		return canary(func(c *v1alpha1.CanaryStrategy) { c.AbortScaleDownDelaySeconds = &seconds })
	}
	aborted := func(s *snapshot) { s.Status.Abort = true; persist(s) }
	scaled := func(s *snapshot) { s.Spec.Replicas = ptr(int32(6)) }
	soon := of("v2", func(r *rollout.Revision) { r.RetireAt = noon.Add(time.Minute) })
	for name, c := range map[string]struct {
		mods []mod
		want []string
	}{
		"it has its delay from when nothing is left": {[]mod{routed(0, "v1"), updating(1, 1), aborted}, []string{"retire v2 at 12:00:30"}}, // Covers: edge 92.
		// Covers: defect 18, outage 2.
		"not while the data plane may still serve it": {[]mod{routed(0, "v2"), updating(1, 1), func(s *snapshot) {
			d := s.Traffic.Written.Destinations
			s.Traffic.Live = append(s.Traffic.Live, traffic.Two(100, 25, d[0], d[1]))
		}, aborted}, nil},
		"not while stable lacks a pod":     {[]mod{routed(0, "v1"), updating(1, 1), pods("v1", 4, 3), aborted}, nil},                              // Covers: edge 92.
		"a delay of 0 keeps it":            {[]mod{routed(0, "v1"), updating(1, 1), delay(0), aborted}, nil},                                      // Covers: edge 94, defect 6.
		"a delay of an hour is one":        {[]mod{routed(0, "v1"), updating(1, 1), delay(3600), aborted}, []string{"retire v2 at 13:00:00"}},     // Covers: defect 5.
		"an autoscaler does not resize it": {[]mod{routed(0, "v1"), updating(1, 1), aborted, soon, scaled}, []string{"scale v1 from 4 to 6"}},     // Covers: edge 81, outage 24.
		"nor does it with a delay of 0":    {[]mod{routed(0, "v1"), updating(1, 1), delay(0), aborted, scaled}, []string{"scale v1 from 4 to 6"}}, // Covers: edge 81, outage 24.
		"one without pods stays without":   {[]mod{routed(0, "v1"), updating(0, 0), aborted, scaled}, []string{"scale v1 from 4 to 6"}},           // Covers: outage 24.
		"its Service goes back to stable":  {[]mod{routed(0, "v2"), updating(1, 1), delay(0), aborted}, []string{"point service canary at v1"}},   // Covers: edge 92, outage 25.
		"and stays there":                  {[]mod{routed(0, "v1"), updating(1, 1), delay(0), aborted, seen, seen}, nil},                          // Covers: outage 25.
		"without a router it goes by pods": {[]mod{updating(1, 1), aborted}, []string{"scale v1 from 3 to 4", "scale v2 from 1 to 0"}},            // Covers: edge 93.
	} {
		t.Run(name, func(t *testing.T) { does(t, rollout.Decide(given(c.mods...)), c.want...) })
	}
}

// byPods is a simulated canary without a router; versions named broken-… never come up.
func byPods(n int32, surge intstr.IntOrString, unavailable *intstr.IntOrString, list ...step) *sim.World {
	s := given(steps(list...), func(s *snapshot) { s.Spec.Replicas = &n }, canary(func(c *v1alpha1.CanaryStrategy) {
		c.MaxSurge, c.MaxUnavailable = &surge, unavailable
	}))
	r := v1alpha1.Rollout{Spec: s.Spec}
	r.Spec.Template.Spec.Containers = container("demo:v1")
	w := sim.New(r, sim.Options{})
	w.Wait(time.Minute)
	return w
}

// counts are available/wanted pods of two versions.
func counts(w *sim.World, a, b string) string {
	aa, ad := w.Pods(a)
	ba, bd := w.Pods(b)
	return fmt.Sprintf("%s %d/%d, %s %d/%d", a, aa, ad, b, ba, bd)
}

func TestPodsWithoutARouter(t *testing.T) {
	none := intstr.FromInt32(0)
	scale := func(n int32) func(*sim.World) {
		return func(w *sim.World) { w.SetReplicas(n); w.Wait(time.Minute) }
	}
	update := func(w *sim.World) { w.SetImage("demo:broken"); w.Wait(time.Minute) }
	// Covers: edge 78.
	t.Run("scaling up and down while a version does not come up", func(t *testing.T) {
		w := byPods(4, intstr.FromInt32(2), &none)
		for i, do := range []func(*sim.World){update, scale(8), scale(4)} {
			do(w)
			if got, want := counts(w, "broken", "v1"), []string{"broken 0/2, v1 4/4", "broken 0/6, v1 4/4", "broken 0/2, v1 4/4"}[i]; got != want {
				t.Errorf("%d: %s, want %s", i, got, want)
			}
		}
	})
	// Covers: edge 79.
	t.Run("the same with a surge of 100 %", func(t *testing.T) {
		w := byPods(4, intstr.FromString("100%"), nil)
		for i, do := range []func(*sim.World){update, scale(8), scale(4)} {
			do(w)
			if got, want := counts(w, "broken", "v1"), []string{"broken 0/4, v1 3/3", "broken 0/8, v1 3/3", "broken 0/4, v1 3/3"}[i]; got != want {
				t.Errorf("%d: %s, want %s", i, got, want)
			}
		}
	})
	// Covers: edge 77.
	t.Run("from a weight of 100 back to 0", func(t *testing.T) {
		w := byPods(3, intstr.FromInt32(2), &none, weight(100), pause(), weight(0), pause())
		w.SetImage("demo:v2")
		w.Wait(time.Minute)
		if got := counts(w, "v2", "v1"); got != "v2 3/3, v1 0/0" {
			t.Fatalf("at 100 %%: %s", got)
		}
		w.Ready("v1", time.Hour)
		w.Promote()
		w.Wait(time.Minute)
		if got := counts(w, "v2", "v1"); got != "v2 3/3, v1 0/2" {
			t.Errorf("while stable comes up: %s", got)
		}
		w.Wait(3 * time.Hour)
		if got := counts(w, "v2", "v1"); got != "v2 0/0, v1 3/3" {
			t.Errorf("at 0 %%: %s", got)
		}
	})
}
