package kube

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
	"github.com/penstock-io/penstock/internal/traffic"
)

// blueGreen serves over web-active and shows the new revision over web-preview.
func blueGreen(preview string) func(*v1alpha1.Rollout) {
	return func(ro *v1alpha1.Rollout) {
		ro.Spec.Strategy = v1alpha1.RolloutStrategy{BlueGreen: &v1alpha1.BlueGreenStrategy{ActiveService: "web-active", PreviewService: preview}}
	}
}

func pointed(name, hash string) *corev1.Service {
	s := service(name)
	if hash != "" {
		s.Spec.Selector[hashLabel] = hash
	}
	return s
}

func (w *world) point(name, hash string) {
	w.t.Helper()
	s := &corev1.Service{}
	w.get(name, s)
	s.Spec.Selector[hashLabel] = hash
	if err := w.client.Update(context.Background(), s); err != nil {
		w.t.Fatal(err)
	}
}

func two(weight int32, stable, canary traffic.Destination) traffic.Split {
	return traffic.Two(traffic.DefaultTotal, weight, stable, canary)
}

func to(service, hash string) traffic.Destination {
	return traffic.Destination{Service: service, Hash: hash}
}

func TestTrafficOfBlueGreenIsThatOfItsServices(t *testing.T) {
	w := newWorld(t, webRollout(blueGreen("web-preview")), pointed("web-active", "old"), pointed("web-preview", "new"))
	s := w.observe().Snapshot
	first := two(0, to("web-active", "old"), to("web-preview", "new"))
	if !s.Routed || s.Pinned || s.Verifies || s.Traffic.Known || !s.SettledAt.Equal(w.now.Add(traffic.ServiceSettle)) {
		t.Errorf("routed %v, pinned %v, verifies %v, %+v, settled at %s", s.Routed, s.Pinned, s.Verifies, s.Traffic, s.SettledAt)
	}
	w.now = w.now.Add(traffic.ServiceSettle)
	if s = w.observe().Snapshot; !s.Traffic.Confirmed() || !s.Traffic.Written.Equal(first) || !s.SettledAt.IsZero() {
		t.Errorf("%+v, settled at %s", s.Traffic, s.SettledAt)
	}
	w.point("web-active", "new")
	s = w.observe().Snapshot
	if got := s.Traffic; got.Confirmed() || !got.Known || got.Exposure("old") != 100 || got.Exposure("new") != 100 {
		t.Errorf("right after the switch: %+v", got)
	}
	w.now = w.now.Add(traffic.ServiceSettle - time.Millisecond)
	if got := w.observe().Snapshot.Traffic; got.Exposure("old") != 100 {
		t.Errorf("the old pods count as out of traffic too early: %+v", got)
	}
	w.now = w.now.Add(time.Millisecond)
	if got := w.observe().Snapshot.Traffic; !got.Confirmed() || got.Exposure("old") != 0 {
		t.Errorf("after the settle time: %+v", got)
	}
}

func TestTrafficOfBlueGreenInOddWorlds(t *testing.T) {
	for name, c := range map[string]struct {
		preview  string
		services []client.Object
		fail     bool
		written  traffic.Split
		invalid  string
		trouble  bool
	}{
		"no preview Service": {"", []client.Object{pointed("web-active", "old")}, false,
			two(0, to("web-active", "old"), to("", "")), "", false},
		"an active Service that selects no revision yet": {"web-preview", []client.Object{pointed("web-active", ""), pointed("web-preview", "new")}, false,
			two(0, to("web-active", ""), to("web-preview", "new")), "", false},
		// Covers: edge 174.
		"an active Service that was deleted": {"web-preview", []client.Object{pointed("web-preview", "new")}, false,
			two(0, to("web-active", ""), to("web-preview", "new")), `service "web-active" not found`, false},
		// Covers: edge 89.
		"an active Service that cannot be read is not one without revision": {"web-preview", []client.Object{pointed("web-active", "old"), pointed("web-preview", "new")}, true,
			traffic.Split{}, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, append(c.services, webRollout(blueGreen(c.preview)))...)
			if c.fail {
				w.rollouts.Reader = unreadable{w.client, "web-active"}
			}
			s := w.observe().Snapshot
			if !s.Routed || !s.Traffic.Written.Equal(c.written) || len(s.Trouble) > 0 != c.trouble {
				t.Errorf("routed %v, written %s, trouble %v", s.Routed, s.Traffic.Written, s.Trouble)
			}
			if !strings.Contains(s.Invalid, c.invalid) || c.invalid == "" && s.Invalid != "" {
				t.Errorf("invalid: %q", s.Invalid)
			}
			if c.fail && s.Traffic.Known {
				t.Error("what could not be read counts as known")
			}
		})
	}
}

// unreadable is a cache that cannot give one object.
type unreadable struct {
	client.Reader
	name string
}

func (u unreadable) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	if key.Name == u.name {
		return errors.New("down")
	}
	return u.Reader.Get(ctx, key, o, opts...)
}

// fixed is a router that sees what it is told to see.
type fixed struct{ o traffic.Observation }

func (f *fixed) Observe(context.Context, traffic.Target) (traffic.Observation, error) {
	return f.o, nil
}

func (*fixed) Apply(context.Context, traffic.Target, traffic.Split) (traffic.Written, error) {
	return nil, nil
}

// steered is a world whose router is the given one.
func steered(t *testing.T, f *fixed, change func(*v1alpha1.Rollout), services ...client.Object) *world {
	w := newWorld(t, append(services, webRollout(change))...)
	w.rollouts.Routers = []Routing{{Name: "fixed", Router: f, Verifies: true, Uses: func(*v1alpha1.RolloutTrafficRouting) bool { return true },
		Kinds: func(traffic.Target) []schema.GroupVersionKind { return nil }}}
	return w
}

func TestRouterDoesNotVouchForServices(t *testing.T) {
	weighted := func(weight int32) traffic.Split { return two(weight, to("web-stable", ""), to("web-canary", "")) }
	f := &fixed{traffic.Observation{Written: weighted(0), Confirmed: true}}
	w := steered(t, f, func(*v1alpha1.Rollout) {}, pointed("web-stable", "old"), pointed("web-canary", "old"))
	expect := func(when string, confirmed bool) {
		t.Helper()
		if got := w.observe().Snapshot.Traffic; got.Confirmed() != confirmed {
			t.Errorf("%s: %+v", when, got)
		}
	}
	expect("a controller that has just started does not know when the Services were pointed", false)
	w.now = w.now.Add(traffic.ServiceSettle)
	expect("after the settle time", true)
	w.point("web-canary", "new")
	expect("right after a Service was pointed elsewhere", false)
	f.o.Written = weighted(25)
	w.now = w.now.Add(time.Second)
	expect("a confirmed weight says nothing of the Service", false)
	w.now = w.now.Add(traffic.ServiceSettle)
	expect("after the settle time of the Service", true)
	f.o.Written = weighted(50)
	expect("a weight alone is the router's to confirm", true)
	f.o.Pinned = true
	f.o.Written = two(50, to("web-stable", "newer"), to("web-canary", "new"))
	expect("revisions that the router pins are its own, too", true)
}

// Covers: edge 171.
func TestPingPongServicesChangePlaces(t *testing.T) {
	f := &fixed{traffic.Observation{Written: two(0, to("web-pong", ""), to("web-ping", "")), Confirmed: true}}
	w := steered(t, f, func(ro *v1alpha1.Rollout) {
		c := ro.Spec.Strategy.Canary
		c.StableService, c.CanaryService = "", ""
		c.PingPong = &v1alpha1.PingPongSpec{PingService: "web-ping", PongService: "web-pong"}
	}, pointed("web-ping", "new"), pointed("web-pong", "old"))
	w.now = w.now.Add(-traffic.ServiceSettle)
	w.observe()
	w.now = w.now.Add(traffic.ServiceSettle)
	s := w.observe()
	if s.target.StableService != "web-pong" || s.target.CanaryService != "web-ping" {
		t.Errorf("before any promotion pong is stable, got %+v", s.target)
	}
	if d := cmp.Diff([]rollout.Service{{Name: "web-ping", Exists: true, Hash: "new"}, {Name: "web-pong", Exists: true, Hash: "old"}}, s.Snapshot.Services); d != "" {
		t.Error(d)
	}
	w.say(func(ro *v1alpha1.Rollout) { ro.Status.Canary.StablePingPong = v1alpha1.PPPing })
	f.o.Written = two(0, to("web-ping", ""), to("web-pong", ""))
	s = w.observe()
	if s.target.StableService != "web-ping" || s.target.CanaryService != "web-pong" {
		t.Errorf("after a promotion ping is stable, got %+v", s.target)
	}
	if got := s.Snapshot.Traffic; !got.Confirmed() || got.Written.On("new") != 100 {
		t.Errorf("no Service was pointed elsewhere, so the router can vouch: %+v", got)
	}
}

// Covers: traffic defect 28.
func TestSplitIsSeenWhole(t *testing.T) {
	header := v1alpha1.SetHeaderRoute{Name: "beta", Match: []v1alpha1.HeaderRoutingMatch{{HeaderName: "x"}}}
	seen := two(10, to("web-stable", ""), to("web-canary", ""))
	seen.Headers = []v1alpha1.SetHeaderRoute{header}
	seen.Destinations = append(seen.Destinations,
		traffic.Destination{Role: traffic.Extra, Service: "web-try", Weight: 5},
		traffic.Destination{Role: traffic.Extra, Service: "web-try-gone", Weight: 5})
	f := &fixed{traffic.Observation{Written: seen}}
	w := steered(t, f, func(*v1alpha1.Rollout) {}, pointed("web-stable", "old"), pointed("web-canary", "new"), pointed("web-try", "tried"))
	var hashes []string
	got := w.observe().Snapshot.Traffic.Written
	for _, d := range got.Destinations {
		hashes = append(hashes, d.Hash)
	}
	if d := cmp.Diff([]string{"old", "new", "tried", ""}, hashes); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]v1alpha1.SetHeaderRoute{header}, got.Headers); d != "" {
		t.Error(d)
	}
	if f.o.Written.Destinations[0].Hash != "" {
		t.Error("the router's own answer was changed")
	}
	w.rollouts.Reader = unreadable{w.client, "web-try"}
	if s := w.observe().Snapshot; len(s.Trouble) == 0 || s.Traffic.Known {
		t.Errorf("a destination that cannot be read: %+v", s.Traffic)
	}
}

func TestServiceIsPointedAndGivenBack(t *testing.T) {
	w := shop(t)
	w.must(rollout.SetSelector{Service: "web-canary", Hash: "abc"})
	svc := &corev1.Service{}
	w.get("web-canary", svc)
	if svc.Spec.Selector[hashLabel] != "abc" || svc.Annotations[managedKey] != "web" {
		t.Fatalf("%v %v", svc.Spec.Selector, svc.Annotations)
	}
	w.writes = nil
	for range 2 { // the second time there is nothing left to write
		w.must(rollout.SetSelector{Service: "web-canary", From: "abc"})
		w.get("web-canary", svc)
		if d := cmp.Diff(map[string]string{"app": "web"}, svc.Spec.Selector); d != "" || len(svc.Annotations) != 0 {
			t.Errorf("%s annotations %v", d, svc.Annotations)
		}
	}
	if len(w.writes) != 1 {
		t.Errorf("writes %v", w.writes)
	}
}

// Covers: edge 173, traffic edge 155, traffic defect 32.
func TestRoutesAreLeftCleanWhenTheSectionIsTakenAway(t *testing.T) {
	w := shop(t)
	w.work(3)
	last := w.rollouts.routed[webKey]
	cleared := &clearing{Router: last.routers[0].Router}
	last.routers[0].Router = cleared
	w.edit(func(ro *v1alpha1.Rollout) { ro.Spec.Strategy.Canary.TrafficRouting = nil })
	w.work(3)
	if cleared.zero != 1 || len(w.rollouts.routed) != 0 {
		t.Errorf("cleaned %d times, %d remembered", cleared.zero, len(w.rollouts.routed))
	}
	if x := w.rollout().Status.Canary.Weights; x != nil {
		t.Errorf("the status still lists weights: %+v", x)
	}
}

// Covers: edge 175.
func TestServiceOfAnExperimentIsNotCleaned(t *testing.T) {
	svc := pointed("web-try", "tried")
	svc.OwnerReferences = pod("x", "", "experiment", nil).OwnerReferences
	w := newWorld(t, svc)
	if _, err := (&Services{Clients: w.rollouts.Clients}).Reconcile(context.Background(), requestFor("web-try")); err != nil {
		t.Fatal(err)
	}
	got := &corev1.Service{}
	if w.get("web-try", got); got.Spec.Selector[hashLabel] != "tried" {
		t.Errorf("selector %v", got.Spec.Selector)
	}
}
