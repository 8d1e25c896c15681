package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/plugin"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/plugin/v2/wire"
)

// edges are plugins of the second protocol, whose name begins with "v2/", beside others of the first.
type edges struct {
	*programs
	// routes are what each of them has; answer changes what one says.
	routes map[string]*wire.Split
	answer func(name string, o *wire.Observation)
	refuse error
	told   []*wire.TrafficRequest
}

func (e *edges) Speaks(_ context.Context, name string) (int, error) {
	if err := e.fail["speaks "+name]; err != nil {
		return 0, err
	}
	if strings.HasPrefix(name, "v2/") {
		return plugin.Second, nil
	}
	return 1, nil
}

func (e *edges) Conn(name, path string) grpc.ClientConnInterface { return edge{e, name, path} }

type edge struct {
	*edges
	name, path string
}

func (edge) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	panic("no streams")
}

func (e edge) Invoke(ctx context.Context, method string, args, reply any, _ ...grpc.CallOption) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	switch a := args.(type) {
	case *wire.TrafficRequest:
		e.edges.told = append(e.edges.told, a)
		o := reply.(*wire.Observation)
		o.Written = e.routes[e.name]
		if e.answer != nil {
			e.answer(e.name, o)
		}
	case *wire.ApplyRequest:
		text := e.name + " Apply"
		for _, d := range a.GetSplit().GetDestinations() {
			text += fmt.Sprintf(" %s %s %s %d", d.GetRole(), d.GetService(), d.GetHash(), d.GetWeight())
		}
		e.calls = append(e.calls, text)
		if e.refuse != nil {
			return e.refuse
		}
		e.routes[e.name] = a.GetSplit()
	}
	return e.fail[method]
}

// newEdges makes a desk of plugins of both protocols.
func newEdges(t *testing.T, plugins ...string) (*desk, *edges) {
	d := newDesk(t, plugins...)
	e := &edges{programs: d.programs, routes: map[string]*wire.Split{}}
	d.options.Plugins = e
	return d, e
}

func TestAPluginOfTheSecondProtocolGetsWholeSplitsAndIsReadBack(t *testing.T) {
	d, e := newEdges(t, "v2/a")
	if o := d.look(); o.Written.Equal(split(0, "")) || o.Written.Weight(traffic.Stable) != 100 || o.Confirmed || o.Problem != "" {
		t.Errorf("nothing is written: %+v", o)
	}
	if got := d.apply(split(30, "c")); !cmp.Equal(got, []string{"v2/a Apply Stable stable s 70 Canary canary c 30"}) {
		t.Errorf("said %q", got)
	}
	if got := d.apply(split(30, "other revision behind the same Service")); len(got) > 0 {
		t.Errorf("said again %q", got)
	}
	o := d.look()
	if !o.Written.Equal(plain(split(30, ""), false)) || o.Settle != defaultSettle || o.Pinned || len(o.Versions) != 1 {
		t.Errorf("read back %+v", o)
	}
	for _, s := range e.routes["v2/a"].GetDestinations() {
		s.Weight = map[string]int32{"Stable": 1, "Canary": 0}[s.GetRole()] // somebody else
	}
	drifted := d.look()
	if drifted.Written.Weight(traffic.Stable) != 100 || drifted.Versions["Plugin/v2/a"] == o.Versions["Plugin/v2/a"] {
		t.Errorf("drift: %+v", drifted)
	}
	if got := d.apply(split(30, "c")); len(got) != 1 {
		t.Errorf("drift is mended by %q", got)
	}
	if got := d.apply(withRoutes(split(30, "c"), true, true)); len(got) != 1 || len(e.routes["v2/a"].GetHeaders()) != 1 || !d.look().Written.Equal(withRoutes(plain(split(30, ""), false), true, true)) {
		t.Errorf("managed routes: %q", got)
	}
	if got := d.apply(traffic.Split{}); !cmp.Equal(got, []string{"v2/a Apply"}) {
		t.Errorf("the end: %q", got)
	}
	if told := e.told[0]; told.GetPlugin() != "v2/a" || string(told.GetConfig()) != "{}" || told.GetStableService() != "stable" || told.GetCanaryService() != "canary" || !strings.Contains(string(told.GetRollout()), `"name":"web"`) {
		t.Errorf("it is told %v", told)
	}
}

func TestWithoutServicesAPluginTellsRevisions(t *testing.T) {
	d, e := newEdges(t, "v2/a")
	d.target.StableService, d.target.CanaryService = "", ""
	d.apply(split(30, "c"))
	if o := d.look(); !o.Pinned || !o.Written.Equal(split(30, "c")) {
		t.Errorf("read back %+v", o)
	}
	if got := d.apply(split(30, "c2")); len(got) != 1 || e.routes["v2/a"].GetDestinations()[1].GetHash() != "c2" {
		t.Errorf("another revision: %q", got)
	}
}

func TestWhatAPluginSaysOfItsDataPlane(t *testing.T) {
	for name, c := range map[string]struct {
		says   *wire.Observation
		want   traffic.Observation
		wakeIn time.Duration
	}{
		"nothing":                           {&wire.Observation{}, traffic.Observation{Settle: defaultSettle}, lookAgain},
		"a time of its own":                 {&wire.Observation{SettleSeconds: 9, AgainSeconds: 90}, traffic.Observation{Settle: 9 * time.Second}, 90 * time.Second},
		"too often":                         {&wire.Observation{AgainSeconds: 0.001}, traffic.Observation{Settle: defaultSettle}, soonest},
		"it follows":                        {&wire.Observation{Verifies: true, Confirmed: true}, traffic.Observation{Confirmed: true, Settle: defaultSettle}, lookAgain},
		"it does not follow yet":            {&wire.Observation{Verifies: true}, traffic.Observation{Settle: unproven}, askAgain},
		"it does not follow yet, look soon": {&wire.Observation{Verifies: true, AgainSeconds: 3}, traffic.Observation{Settle: unproven}, 3 * time.Second},
		"a problem":                         {&wire.Observation{Problem: "zone b\nis gone"}, traffic.Observation{Settle: defaultSettle, Problem: "spec.strategy.canary.trafficRouting.plugins[v2/a]: zone b is gone"}, lookAgain},
	} {
		t.Run(name, func(t *testing.T) {
			d, e := newEdges(t, "v2/a")
			d.apply(split(30, "c"))
			e.answer = func(_ string, o *wire.Observation) {
				o.Verifies, o.Confirmed, o.Problem, o.SettleSeconds, o.AgainSeconds = c.says.GetVerifies(), c.says.GetConfirmed(), c.says.GetProblem(), c.says.GetSettleSeconds(), c.says.GetAgainSeconds()
			}
			o := d.look()
			if o.Confirmed != c.want.Confirmed || o.Settle != c.want.Settle || o.Problem != c.want.Problem || !cmp.Equal(d.woken, []time.Duration{c.wakeIn}) {
				t.Errorf("%+v, woken %v", o, d.woken)
			}
			d.look()
			if len(d.woken) != 1 {
				t.Errorf("each look asks for another pass: %v", d.woken)
			}
			d.now = d.now.Add(c.wakeIn)
			d.look()
			if len(d.woken) != 2 {
				t.Errorf("nobody looks again: %v", d.woken)
			}
		})
	}
}

func TestPluginsOfBothProtocolsTogether(t *testing.T) {
	d, e := newEdges(t, "v2/a", "b/b", "v2/c")
	d.programs.verified = verified
	want := []string{"b/b RemoveManagedRoutes", "b/b SetWeight 30 []", "b/b UpdateHash c s []",
		"v2/a Apply Stable stable s 70 Canary canary c 30", "v2/c Apply Stable stable s 70 Canary canary c 30"}
	if diff := cmp.Diff(want, d.apply(split(30, "c"))); diff != "" {
		t.Error(diff)
	}
	says := func(confirmed bool) func(string, *wire.Observation) {
		return func(name string, o *wire.Observation) { o.Verifies, o.Confirmed = true, confirmed || name == "v2/a" }
	}
	e.answer = says(true)
	if o := d.look(); !o.Confirmed || o.Written.Weight(traffic.Canary) != 30 || o.Written.Equal(split(30, "")) && o.Problem != "" {
		t.Errorf("all follow: %+v", o)
	}
	e.answer = says(false)
	if o := d.look(); o.Confirmed || o.Settle != unproven {
		t.Errorf("one does not follow: %+v", o)
	}
	d.programs.take()
	e.answer, e.routes["v2/c"] = nil, nil
	if o := d.look(); o.Written.Equal(split(30, "")) || o.Written.Weight(traffic.Canary) != 30 {
		t.Errorf("one has other routes: %+v", o)
	}
	if got := d.apply(split(30, "c")); !cmp.Equal(got, []string{"v2/c Apply Stable stable s 70 Canary canary c 30"}) {
		t.Errorf("mended by %q", got)
	}
	d.programs.fail["speaks v2/a"] = errors.New("plugin v2/a: gone")
	d.programs.fail["SetWeight"] = errors.New("plugin v2/a: gone")
	if _, err := d.Apply(t.Context(), d.target, split(0, "c")); err == nil || e.routes["v2/c"].GetDestinations()[1].GetWeight() != 0 {
		t.Errorf("one that is gone holds up the others: %v", err)
	}
	if _, err := d.Apply(t.Context(), d.target, traffic.Split{}); err == nil || len(e.routes["v2/c"].GetDestinations()) != 0 {
		t.Errorf("one that is gone keeps the others' routes: %v", err)
	}
}

func TestErrorsOfAPluginOfTheSecondProtocol(t *testing.T) {
	d, e := newEdges(t, "v2/a")
	e.refuse = status.Error(codes.Aborted, "somebody else has written")
	if _, err := d.Apply(t.Context(), d.target, split(30, "c")); !apierrors.IsConflict(err) || !strings.Contains(err.Error(), "somebody else has written") {
		t.Errorf("got %v", err)
	}
	e.refuse = errors.New("plugin v2/a: no rights")
	if _, err := d.Apply(t.Context(), d.target, split(30, "c")); err == nil || err.Error() != "route shop/web: plugin v2/a: no rights" {
		t.Errorf("got %v", err)
	}
	d.programs.fail["/penstock.plugin.v2.Traffic/Observe"] = errors.New("plugin v2/a: no rights")
	if _, err := d.Observe(t.Context(), d.target); err == nil || err.Error() != "read the routes of shop/web: plugin v2/a: no rights" || len(d.woken) > 0 {
		t.Errorf("got %v", err)
	}
	if _, err := d.Apply(t.Context(), d.target, split(20, "c")); err == nil {
		t.Error("what cannot be read was written")
	}
	d.options.Timeout = time.Nanosecond
	if _, err := d.Observe(t.Context(), d.target); err == nil || !strings.Contains(err.Error(), "plugin v2/a gave no answer to Observe within the timeout of 1ns") {
		t.Errorf("got %v", err)
	}
}

func TestSplitsThatNoPluginShouldTellOf(t *testing.T) {
	d, e := newEdges(t, "v2/a")
	at := func(role string, weight int32) *wire.Destination {
		return &wire.Destination{Role: role, Weight: weight}
	}
	many := make([][]byte, maxEntries+1)
	for name, c := range map[string]struct {
		says *wire.Split
		want string
	}{
		"an odd role":         {&wire.Split{Destinations: []*wire.Destination{at("Stable", 1), at("Beta", 1)}}, `plugin v2/a: written.destinations[1].role: "Beta" is none of Stable, Canary and Extra`},
		"a role twice":        {&wire.Split{Destinations: []*wire.Destination{at("Canary", 1), at("Canary", 1)}}, "written.destinations[1].role: there is another destination of role Canary"},
		"no JSON":             {&wire.Split{Headers: [][]byte{[]byte("{}"), []byte("x")}}, "written.headers[1]: invalid character"},
		"a mirror of numbers": {&wire.Split{Mirrors: [][]byte{[]byte(`{"percentage":"x"}`)}}, "written.mirrors[0]: json: cannot unmarshal"},
		"too many":            {&wire.Split{Mirrors: many}, "written: a list has 1001 entries, more than 1000"},
	} {
		e.routes["v2/a"] = c.says
		if _, err := d.Observe(t.Context(), d.target); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzReadSplit: whatever a plugin tells, there is no panic, and no share below 0 or above
// the total.
func FuzzReadSplit(f *testing.F) {
	f.Add("Stable", "Canary", "s", int32(70), int32(30), `{"name":"h"}`, int32(100), true)
	f.Add("Canary", "Extra", "", int32(-1), int32(1<<31-1), `[]`, int32(-5), false)
	f.Fuzz(func(t *testing.T, one, two, service string, w1, w2 int32, route string, total int32, named bool) {
		target := traffic.Target{Routing: &v1alpha1.RolloutTrafficRouting{MaxTrafficWeight: &total}}
		if named {
			target.StableService, target.CanaryService = "s", "c"
		}
		s, err := readSplit(target, &wire.Split{Total: total, Headers: [][]byte{[]byte(route)}, Destinations: []*wire.Destination{
			{Role: one, Service: service, Hash: service, Weight: w1}, {Role: two, Weight: w2}, nil}})
		if err != nil {
			return
		}
		for _, d := range s.Destinations {
			if total > 0 && (d.Weight < 0 || d.Weight > total) {
				t.Errorf("%+v", s)
			}
		}
		if _, err := json.Marshal(s); err != nil {
			t.Error(err)
		}
	})
}
