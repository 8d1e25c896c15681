package traffic

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

func header(name string, values ...string) v1alpha1.SetHeaderRoute {
	h := v1alpha1.SetHeaderRoute{Name: name}
	for _, v := range values {
		h.Match = append(h.Match, v1alpha1.HeaderRoutingMatch{HeaderName: "x", HeaderValue: &v1alpha1.StringMatch{Exact: v}})
	}
	return h
}

func mirror(name string, percent *int32, methods ...string) v1alpha1.SetMirrorRoute {
	m := v1alpha1.SetMirrorRoute{Name: name, Percentage: percent}
	for _, v := range methods {
		m.Match = append(m.Match, v1alpha1.RouteMatch{Method: &v1alpha1.StringMatch{Exact: v}})
	}
	return m
}

func with(s Split, headers []v1alpha1.SetHeaderRoute, mirrors ...v1alpha1.SetMirrorRoute) Split {
	s.Headers, s.Mirrors = headers, mirrors
	return s
}

func headers(list ...v1alpha1.SetHeaderRoute) []v1alpha1.SetHeaderRoute { return list }

func of(n int32) *int32 { return &n }

func TestManagedRoutesStandInTheOrderOfTheList(t *testing.T) {
	managed := []v1alpha1.MangedRoutes{{Name: "c"}, {Name: "a"}, {Name: "b"}, {Name: "c"}}
	for sentence, c := range map[string]struct {
		split         Split
		want, problem string
	}{
		"in the order of managedRoutes": {split: with(at(5), headers(header("a", "1"), header("c", "1")), mirror("b", nil, "GET")), want: "c a b"},
		"none":                          {split: at(5)},
		"one that is not listed":        {split: with(at(5), headers(header("d", "1"))), problem: `route "d" does not stand in`},
		"a name for two":                {split: with(at(5), headers(header("a", "1")), mirror("a", nil, "GET")), problem: `route "a" is set twice`},
		"a header route for everything": {split: with(at(5), headers(header("a"))), problem: `route "a" has no match`},
		"a mirror route for everything": {split: with(at(5), nil, mirror("a", nil)), problem: `route "a" has no match`},
	} {
		t.Run(sentence, func(t *testing.T) {
			list, problem := c.split.Routes(managed)
			var names []string
			for _, r := range list {
				if (r.Header == nil) == (r.Mirror == nil) {
					t.Errorf("route %s is a header and a mirror route, or neither", r.Name)
				}
				names = append(names, r.Name)
			}
			if got := strings.Join(names, " "); got != c.want || !strings.HasPrefix(problem, c.problem) || (problem == "") != (c.problem == "") {
				t.Errorf("got %q, problem %q", got, problem)
			}
		})
	}
}

func TestSplitsThatNobodyCouldKnowAgain(t *testing.T) {
	target := Target{StableService: "web-stable", CanaryService: "web-canary", Routing: &v1alpha1.RolloutTrafficRouting{}}
	extra := func(services ...string) Split {
		s := at(5)
		for _, name := range services {
			s.Destinations = append(s.Destinations, Destination{Role: Extra, Service: name, Weight: 1})
		}
		return s
	}
	for sentence, c := range map[string]struct {
		split Split
		want  string
	}{
		"two extra destinations":           {extra("a", "b"), ""},
		"an extra destination twice":       {extra("a", "a"), "is listed twice"},
		"an extra one that is the canary":  {extra("web-canary"), "is the stable or the canary Service"},
		"an extra one that is stable":      {extra("web-stable"), "is the stable or the canary Service"},
		"an extra one without a Service":   {extra(""), "has no Service"},
		"a managed route that is not ours": {with(at(5), headers(header("a", "1"))), "does not stand in"},
	} {
		t.Run(sentence, func(t *testing.T) {
			if got := c.split.Problem(target); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	if got := extra("a").Problem(Target{}); got != "" {
		t.Errorf("without a section: %q", got)
	}
}

func TestWhichRoutesAreTheSame(t *testing.T) {
	bare := mirror("m", nil, "GET")
	spelled := mirror("m", of(100), "GET")
	spelled.Match[0].Path, spelled.Match[0].Headers = &v1alpha1.StringMatch{}, map[string]v1alpha1.StringMatch{}
	for sentence, c := range map[string]struct {
		a, b Split
		want bool
	}{
		"what is left out is its default":     {with(at(5), nil, bare), with(at(5), nil, spelled), true},
		"a share beyond all is all":           {with(at(5), nil, bare), with(at(5), nil, mirror("m", of(150), "GET")), true},
		"another share is another route":      {with(at(5), nil, bare), with(at(5), nil, mirror("m", of(99), "GET")), false},
		"a broken mirror is no wanted one":    {with(at(5), nil, bare), with(at(5), nil, mirror("m", nil)), false},
		"another value is another route":      {with(at(5), headers(header("h", "1"))), with(at(5), headers(header("h", "2"))), false},
		"another name is another route":       {with(at(5), headers(header("h", "1"))), with(at(5), headers(header("i", "1"))), false},
		"a broken route is no wanted one":     {with(at(5), headers(header("h", "1"))), with(at(5), headers(Broken("h"))), false},
		"the order counts":                    {with(at(5), headers(header("h", "1"), header("i", "1"))), with(at(5), headers(header("i", "1"), header("h", "1"))), false},
		"an empty list is none":               {with(at(5), headers()), at(5), true},
		"a header without value and an empty": {with(at(5), headers(v1alpha1.SetHeaderRoute{Match: []v1alpha1.HeaderRoutingMatch{{HeaderName: "x"}}})), with(at(5), headers(v1alpha1.SetHeaderRoute{Match: []v1alpha1.HeaderRoutingMatch{{HeaderName: "x", HeaderValue: &v1alpha1.StringMatch{}}}})), true},
	} {
		t.Run(sentence, func(t *testing.T) {
			if got := c.a.Equal(c.b); got != c.want || c.b.Equal(c.a) != got {
				t.Errorf("same: %v", got)
			}
		})
	}
}

func TestWidestBreaksRoutesThatDiffer(t *testing.T) {
	a := with(at(5), headers(header("same", "1"), header("value", "1"), header("first", "1")), mirror("m", nil, "GET"))
	b := with(at(5), headers(header("same", "1"), header("value", "2"), header("second", "1")), mirror("m", of(1), "GET"))
	got := Widest(a, b)
	want := with(at(5), headers(header("same", "1"), Broken("value"), Broken("first"), Broken("second")), mirror("m", nil))
	if !got.Equal(want) {
		t.Errorf("got %+v", got)
	}
	if d := cmp.Diff("1", a.Headers[1].Match[0].HeaderValue.Exact); d != "" {
		t.Error("the argument was changed", d)
	}
	if got := Widest(a, a); !got.Equal(a) {
		t.Errorf("routes that agree give %+v", got)
	}
}
