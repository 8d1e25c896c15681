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
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/plugin"
	"github.com/penstock-io/penstock/internal/traffic"
)

// programs answer calls, and write them down.
type programs struct {
	calls    []string
	fail     map[string]error // by method
	verified int32
}

// Speaks says that all of them speak net/rpc.
func (p *programs) Speaks(context.Context, string) (int, error) { return 1, nil }

func (p *programs) Conn(string, string) grpc.ClientConnInterface { panic("they speak net/rpc") }

func (p *programs) Call(_ context.Context, name, method string, args, reply any) error {
	text := name + " " + method
	switch a := (*args.(*any)).(type) {
	case UpdateHashArgs:
		text += fmt.Sprintf(" %s %s %v", a.CanaryHash, a.StableHash, a.AdditionalDestinations)
	case SetWeightAndVerifyWeightArgs:
		text += fmt.Sprintf(" %d %v", a.DesiredWeight, a.AdditionalDestinations)
	case SetHeaderArgs:
		text += fmt.Sprintf(" %s %d", a.SetHeaderRoute.Name, len(a.SetHeaderRoute.Match))
	case SetMirrorArgs:
		text += fmt.Sprintf(" %s %d", a.SetMirrorRoute.Name, len(a.SetMirrorRoute.Match))
	}
	p.calls = append(p.calls, text)
	switch r := reply.(type) {
	case *plugin.Error:
		if err := p.fail["said "+method]; err != nil {
			r.ErrorString = err.Error()
		}
	case *Verdict:
		r.Verified = p.verified
	case *string:
		*r = "theirs"
	}
	return p.fail[method]
}

// take are the calls since the last take.
func (p *programs) take() (list []string) {
	list, p.calls = p.calls, nil
	return list
}

type desk struct {
	*Router
	programs *programs
	target   traffic.Target
	now      time.Time
	woken    []time.Duration
	t        *testing.T
}

func newDesk(t *testing.T, plugins ...string) *desk {
	d := &desk{programs: &programs{fail: map[string]error{}, verified: notImplemented}, now: time.Unix(1e9, 0), t: t}
	d.Router = New(Options{Plugins: d.programs, Now: func() time.Time { return d.now }, Wake: func(_ types.NamespacedName, after time.Duration) { d.woken = append(d.woken, after) }})
	tr := &v1alpha1.RolloutTrafficRouting{Plugins: map[string]json.RawMessage{builtIn: nil}, ManagedRoutes: []v1alpha1.MangedRoutes{{Name: "hdr"}, {Name: "m"}}}
	for _, name := range plugins {
		tr.Plugins[name] = json.RawMessage(`{}`)
	}
	d.target = traffic.Target{Namespace: "shop", Name: "web", UID: "u", StableService: "stable", CanaryService: "canary", Routing: tr}
	return d
}

func split(weight int32, hash string) traffic.Split {
	return traffic.Two(traffic.DefaultTotal, weight, traffic.Destination{Service: "stable", Hash: "s"}, traffic.Destination{Service: "canary", Hash: hash})
}

func (d *desk) apply(s traffic.Split) []string {
	d.t.Helper()
	if _, err := d.Apply(d.t.Context(), d.target, s); err != nil {
		d.t.Fatal(err)
	}
	return d.programs.take()
}

func (d *desk) look() traffic.Observation {
	d.t.Helper()
	o, err := d.Observe(d.t.Context(), d.target)
	if err != nil {
		d.t.Fatal(err)
	}
	return o
}

func withRoutes(s traffic.Split, header, mirror bool) traffic.Split {
	if header {
		s.Headers = []v1alpha1.SetHeaderRoute{{Name: "hdr", Match: []v1alpha1.HeaderRoutingMatch{{HeaderName: "x", HeaderValue: &v1alpha1.StringMatch{Exact: "1"}}}}}
	}
	if mirror {
		s.Mirrors = []v1alpha1.SetMirrorRoute{{Name: "m", Match: []v1alpha1.RouteMatch{{Method: &v1alpha1.StringMatch{Exact: "GET"}}}}}
	}
	return s
}

func TestOnlyTheDifferenceIsSaid(t *testing.T) {
	d := newDesk(t, "b/b", "a/a")
	extra := split(10, "c2")
	extra.Destinations[0].Weight = 85
	extra.Destinations = append(extra.Destinations, traffic.Destination{Role: traffic.Extra, Service: "exp", Hash: "e", Weight: 5})
	both := func(calls ...string) (all []string) {
		for _, name := range []string{"a/a ", "b/b "} {
			for _, c := range calls {
				all = append(all, name+c)
			}
		}
		return all
	}
	for _, c := range []struct {
		when string
		to   traffic.Split
		want []string
	}{
		{"nothing is known", split(20, "c"), both("RemoveManagedRoutes", "SetWeight 20 []", "UpdateHash c s []")},
		{"the same again", split(20, "c"), nil},
		{"more weight", split(50, "c"), both("SetWeight 50 []")},
		{"another revision with less weight: weight goes first", split(0, "c2"), both("SetWeight 0 []", "UpdateHash c2 s []")},
		{"another revision with more weight: weight goes last", split(5, "c3"), both("UpdateHash c3 s []", "SetWeight 5 []")},
		{"another revision", split(5, "c2"), both("UpdateHash c2 s []")},
		{"an experiment", extra, both("UpdateHash c2 s [{5 exp e}]", "SetWeight 10 [{5 exp e}]")},
		{"no experiment", split(10, "c2"), both("UpdateHash c2 s []", "SetWeight 10 []")},
		{"a header and a mirror route", withRoutes(split(10, "c2"), true, true), both("SetHeaderRoute hdr 1", "SetMirrorRoute m 1")},
		{"the mirror alone goes", withRoutes(split(10, "c2"), true, false), both("SetMirrorRoute m 0")},
		{"all routes go, before the weight does", split(0, "c2"), both("RemoveManagedRoutes", "SetWeight 0 []")},
		{"the Rollout goes", traffic.Split{}, both("SetWeight 0 []", "RemoveManagedRoutes")},
		{"it has gone", traffic.Split{}, nil},
	} {
		if diff := cmp.Diff(c.want, d.apply(c.to)); diff != "" {
			t.Errorf("%s: %s", c.when, diff)
		}
	}
}

func TestWhatIsSaidIsReadBack(t *testing.T) {
	d := newDesk(t, "a/a")
	d.target.Rollout = &v1alpha1.Rollout{Status: v1alpha1.RolloutStatus{Canary: v1alpha1.CanaryStatus{Weights: &v1alpha1.TrafficWeights{
		Canary: v1alpha1.WeightDestination{Weight: 30, PodTemplateHash: "c"}, Stable: v1alpha1.WeightDestination{Weight: 70, PodTemplateHash: "s"}}}}}
	o := d.look()
	if o.Written.Weight(traffic.Canary) != 30 || o.Confirmed || o.Written.Equal(split(30, "c")) || o.Pinned {
		t.Errorf("a controller that has just begun: %+v", o)
	}
	d.apply(split(30, "c"))
	if o = d.look(); !o.Written.Equal(split(30, "c")) || o.Confirmed || o.Settle != defaultSettle {
		t.Errorf("after the first write: %+v", o)
	}
	d.now = d.now.Add(refreshAfter)
	if o = d.look(); o.Written.Equal(split(30, "c")) {
		t.Errorf("after a long time: %+v", o)
	}
	d.programs.take()
	if got := d.apply(split(30, "c")); len(got) != 3 {
		t.Errorf("said anew: %v", got)
	}
	d.target.StableService, d.target.CanaryService = "", ""
	if !d.look().Pinned {
		t.Error("without Services the plugin alone leads to revisions")
	}
}

func TestWhatPluginsSayOfTheirWeights(t *testing.T) {
	for name, c := range map[string]struct {
		verified  int32
		confirmed bool
		settle    time.Duration
		woken     []time.Duration
	}{
		"they are live":     {verified, true, defaultSettle, nil},
		"they are not":      {notVerified, false, unproven, []time.Duration{askAgain}},
		"something odd":     {7, false, unproven, []time.Duration{askAgain}},
		"it cannot be told": {notImplemented, false, defaultSettle, nil},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, "a/a")
			d.programs.verified = c.verified
			d.apply(split(30, "c"))
			o := d.look()
			if o.Confirmed != c.confirmed || o.Settle != c.settle || !cmp.Equal(d.woken, c.woken) {
				t.Errorf("%+v, woken %v", o, d.woken)
			}
			d.programs.take()
			d.look()
			if got := d.programs.take(); len(got) > 0 {
				t.Errorf("asked again at once: %v", got)
			}
			d.programs.verified = verified
			d.now = d.now.Add(askAgain)
			if o := d.look(); o.Confirmed != (c.verified != notImplemented) {
				t.Errorf("later: %+v", o)
			}
		})
	}
}

func TestPluginsThatCannotBeAsked(t *testing.T) {
	gone := errors.New("gone")
	for name, c := range map[string]struct {
		fail    map[string]error
		observe bool
		want    string
	}{
		"one that is not configured": {map[string]error{"Type": fmt.Errorf("plugin a/a %w in configmap", plugin.ErrUnknown)}, true, ""},
		"one that cannot be started": {map[string]error{"Type": gone}, true, "gone"},
		"one that cannot verify":     {map[string]error{"VerifyWeight": gone}, false, "failed to verify weight via plugin: gone"},
		"one that refuses":           {map[string]error{"said SetWeight": gone}, false, "failed to set weight via plugin: plugin a/a: gone"},
		"one that dies":              {map[string]error{"UpdateHash": gone}, false, "failed to update hash via plugin: plugin a/a: gone"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, "a/a")
			d.programs.fail = c.fail
			var err error
			if !c.observe {
				_, err = d.Apply(t.Context(), d.target, split(30, "c"))
			}
			var o traffic.Observation
			if err == nil {
				o, err = d.Observe(t.Context(), d.target)
			}
			switch {
			case c.want == "" && (err != nil || !strings.Contains(o.Problem, "plugin a/a not configured in configmap; name it in ConfigMap argo-rollouts-config") || len(d.woken) != 1):
				t.Errorf("%v, %+v, woken %v", err, o, d.woken)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%v", err)
			}
			d.programs.fail = nil
			d.programs.take()
			if got := d.apply(split(30, "c")); strings.HasPrefix(c.want, "failed to") && !strings.Contains(c.want, "verify") && len(got) != 3 {
				t.Errorf("after an error not all is said anew: %v", got)
			}
		})
	}
}

func TestTheBuiltInPluginIsNotAsked(t *testing.T) {
	d := newDesk(t)
	if Uses(d.target.Routing) || Uses(nil) {
		t.Error("it is asked")
	}
}
