package istio

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/objects"
)

// parse decodes YAML.
func parse[T any](t testing.TB, text string) (v T) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// at is a split with a canary weight and extra destinations "service weight".
func at(weight int32, extras ...string) traffic.Split {
	s := traffic.Two(100, weight, traffic.Destination{Service: "stable"}, traffic.Destination{Service: "canary"})
	for _, x := range extras {
		d := traffic.Destination{Role: traffic.Extra}
		if _, err := fmt.Sscan(x, &d.Service, &d.Weight); err != nil {
			panic(err)
		}
		s.Destinations[0].Weight -= d.Weight
		s.Destinations = append(s.Destinations, d)
	}
	return s
}

func headers(t testing.TB, s traffic.Split, list string) traffic.Split {
	s.Headers = parse[[]v1alpha1.SetHeaderRoute](t, list)
	return s
}

func mirrors(t testing.TB, s traffic.Split, list string) traffic.Split {
	s.Mirrors = parse[[]v1alpha1.SetMirrorRoute](t, list)
	return s
}

// specOf reads an object's spec back as YAML would say it.
func specOf(t testing.TB, c client.Client, like *unstructured.Unstructured) any {
	t.Helper()
	got := like.DeepCopy()
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(like), got); err != nil {
		t.Fatal(err)
	}
	return got.Object["spec"]
}

// wantSpec compares a spec with YAML text.
func wantSpec(t testing.TB, c client.Client, like *unstructured.Unstructured, text string) {
	t.Helper()
	if d := cmp.Diff(vs(t, text).Object["spec"], specOf(t, c, like)); d != "" {
		t.Error(d)
	}
}

// apply applies the splits one after the other and demands that each is read back.
func apply(t testing.TB, r traffic.Router, tg traffic.Target, splits ...traffic.Split) {
	t.Helper()
	for _, s := range splits {
		if _, err := r.Apply(t.Context(), tg, s); err != nil {
			t.Fatal(err)
		}
		o, err := r.Observe(t.Context(), tg)
		if err != nil || o.Problem != "" || !s.IsZero() && !o.Written.Equal(s) {
			t.Fatalf("applied %s, observed %s, %s %v", s, o.Written, o.Problem, err)
		}
	}
}

const betaUsers = `[{name: hdr, match: [{headerName: x-beta, headerValue: {exact: "1"}}, {headerName: agent, headerValue: {prefix: curl}}]}]`

// Covers: edge 56, edge 72, traffic edge 158, traffic defect 34.
func TestAHeaderRouteAndAnExperiment(t *testing.T) {
	before := "http: [{name: primary, timeout: 3s, " + pair + "}]"
	u := vs(t, before)
	w := cluster(u)
	r := New(w, w, Options{})
	tg := target(v1alpha1.IstioVirtualService{})
	apply(t, r, tg, headers(t, at(30, "web-7c4b-2-1-exp 20"), betaUsers))
	wantSpec(t, w, u, `
http:
- name: hdr
  match: [{headers: {x-beta: {exact: "1"}}}, {headers: {agent: {prefix: curl}}}]
  route: [{destination: {host: canary}, weight: 100}]
- name: primary
  timeout: 3s
  route:
  - {destination: {host: stable}, weight: 50}
  - {destination: {host: canary}, weight: 30}
  - {destination: {host: web-7c4b-2-1-exp}, weight: 20}`)
	apply(t, r, tg, at(0), traffic.Split{})
	wantSpec(t, w, u, before)
	got := u.DeepCopy()
	if err := w.Get(t.Context(), client.ObjectKeyFromObject(u), got); err != nil || got.GetAnnotations() != nil {
		t.Errorf("annotations %v are left, %v", got.GetAnnotations(), err)
	}
}

// Covers: edge 72, traffic edge 158.
func TestSeveralExperimentDestinationsLeaveNothingBehind(t *testing.T) {
	u := vs(t, "http: [{"+pair+"}]\ntls: [{"+pair+"}]\ntcp: [{"+pair+"}]")
	w := cluster(u)
	r := New(w, w, Options{})
	tg := target(v1alpha1.IstioVirtualService{})
	apply(t, r, tg, at(10), at(10, "a 5", "b 15"))
	got := u.DeepCopy()
	got.Object["spec"] = specOf(t, w, u)
	if d := cmp.Diff("http:70,10,5,15 tls:70,10,5,15 tcp:70,10,5,15", weightsOf(t, got)); d != "" {
		t.Error(d)
	}
	apply(t, r, tg, at(10))
	got.Object["spec"] = specOf(t, w, u)
	if d := cmp.Diff("http:90,10 tls:90,10 tcp:90,10", weightsOf(t, got)); d != "" {
		t.Error(d)
	}
}

// Covers: traffic edge 164.
func TestMirrorRoutesKeepTheWeightsOfTheRoute(t *testing.T) {
	u := vs(t, "http: [{name: primary, route: [{destination: {host: stable, port: {number: 80}}, weight: 100}, {destination: {host: canary, port: {number: 81}}, weight: 0}]}]")
	w := cluster(u)
	r := New(w, w, Options{})
	tg := target(v1alpha1.IstioVirtualService{})
	two := `[{name: hdr, match: [{method: {exact: GET}, path: {prefix: /cart}}]}, {name: mirror, percentage: 25, match: [{headers: {x-a: {regex: "^b"}}}]}]`
	for _, weight := range []int32{20, 40} {
		apply(t, r, tg, mirrors(t, at(weight), two))
		route := fmt.Sprintf("[{destination: {host: stable, port: {number: 80}}, weight: %d}, {destination: {host: canary, port: {number: 81}}, weight: %d}]", 100-weight, weight)
		wantSpec(t, w, u, `
http:
- {name: hdr, match: [{method: {exact: GET}, uri: {prefix: /cart}}], mirror: {host: canary, port: {number: 81}}, mirrorPercentage: {value: 100}, route: `+route+`}
- {name: mirror, match: [{headers: {x-a: {regex: "^b"}}}], mirror: {host: canary, port: {number: 81}}, mirrorPercentage: {value: 25}, route: `+route+`}
- {name: primary, route: `+route+`}`)
	}
	apply(t, r, tg, at(0))
	wantSpec(t, w, u, "http: [{name: primary, route: [{destination: {host: stable, port: {number: 80}}, weight: 100}, {destination: {host: canary, port: {number: 81}}, weight: 0}]}]")
}

// The published controller doubles them with each weight, and freezes the weights.
//
// Covers: traffic edge 166, traffic defect 27.
func TestManagedRoutesBesideSeveralUnnamedRoutes(t *testing.T) {
	u := vs(t, "http: [{match: [{uri: {exact: /a}}], redirect: {uri: /b}}, {name: primary, "+pair+"}, {match: [{uri: {exact: /c}}], route: [{destination: {host: docs}}]}]")
	w := cluster(u)
	r := New(w, w, Options{})
	tg := target(v1alpha1.IstioVirtualService{Routes: []string{"primary"}})
	for _, weight := range []int32{5, 10, 20} {
		apply(t, r, tg, headers(t, at(weight), betaUsers))
	}
	if n := len(objects.Entries(specOf(t, w, u).(map[string]any)["http"])); n != 4 {
		t.Errorf("%d routes, want 4", n)
	}
	apply(t, r, tg, at(20))
	wantSpec(t, w, u, `
http:
- {match: [{uri: {exact: /a}}], redirect: {uri: /b}}
- {name: primary, route: [{destination: {host: stable}, weight: 80}, {destination: {host: canary}, weight: 20}]}
- {match: [{uri: {exact: /c}}], route: [{destination: {host: docs}}]}`)
}

// Covers: traffic edge 162, traffic defect 27.
func TestManagedRoutesThatAreNotAsWrittenAreSeenAndMended(t *testing.T) {
	tg := target(v1alpha1.IstioVirtualService{})
	want := mirrors(t, headers(t, at(30), `[{name: hdr, match: [{headerName: x-beta, headerValue: {exact: "1"}}]}]`), `[{name: mirror, match: [{method: {exact: GET}}], percentage: 50}]`)
	for sentence, change := range map[string]func(list []any) []any{
		"the match is another": func(l []any) []any {
			l[0].(map[string]any)["match"] = []any{map[string]any{"headers": map[string]any{"x-beta": map[string]any{"exact": "2"}}}}
			return l
		},
		"there is no match":    func(l []any) []any { delete(l[0].(map[string]any), "match"); return l },
		"there is a timeout":   func(l []any) []any { l[0].(map[string]any)["timeout"] = "1s"; return l },
		"it sends to stable":   func(l []any) []any { l[0].(map[string]any)["route"] = l[2].(map[string]any)["route"]; return l },
		"it is gone":           func(l []any) []any { return l[1:] },
		"it is there twice":    func(l []any) []any { return append([]any{l[0]}, l...) },
		"the order is another": func(l []any) []any { return []any{l[1], l[0], l[2]} },
		"it stands behind":     func(l []any) []any { return []any{l[2], l[0], l[1]} },
		"the mirror has a share": func(l []any) []any {
			l[1].(map[string]any)["mirrorPercentage"] = map[string]any{"value": 49.5}
			return l
		},
		"the mirror goes to docs": func(l []any) []any { l[1].(map[string]any)["mirror"] = map[string]any{"host": "docs"}; return l },
		"the mirror is none": func(l []any) []any {
			delete(l[1].(map[string]any), "mirror")
			return l
		},
		"the mirror has other weights": func(l []any) []any {
			list := l[1].(map[string]any)["route"].([]any)
			list[0].(map[string]any)["weight"], list[1].(map[string]any)["weight"] = int64(0), int64(100)
			return l
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			u := vs(t, "http: [{name: primary, "+pair+"}]")
			w := cluster(u)
			r := New(w, w, Options{})
			apply(t, r, tg, want)
			good := specOf(t, w, u)
			got := u.DeepCopy()
			if err := w.Get(t.Context(), client.ObjectKeyFromObject(u), got); err != nil {
				t.Fatal(err)
			}
			spec := asMap(got.Object["spec"])
			spec["http"] = change(slices.Clone(spec["http"].([]any)))
			if err := w.Update(t.Context(), got); err != nil {
				t.Fatal(err)
			}
			o, err := r.Observe(t.Context(), tg)
			if err != nil || o.Problem != "" || o.Written.Equal(want) {
				t.Fatalf("observed %s %s %v", o.Written, o.Problem, err)
			}
			if strings.Contains(sentence, "other weights") && o.Written.Weight(traffic.Canary) != 100 {
				t.Errorf("observed %s, but the mirror route sends the canary everything", o.Written)
			}
			apply(t, r, tg, want)
			if d := cmp.Diff(good, specOf(t, w, u)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestRoutesAsThePublishedControllerWritesThemStay(t *testing.T) {
	u := vs(t, `
http:
- {name: hdr, match: [{headers: {x-beta: {exact: "1"}}}], route: [{destination: {host: canary}, weight: 1.0e+2}]}
- {name: primary, route: [{destination: {host: stable}, weight: 7.0e+1}, {destination: {host: canary}, weight: 3.0e+1}]}`)
	for _, r := range objects.Entries(asMap(u.Object["spec"])["http"]) {
		for _, d := range objects.Entries(r["route"]) {
			parts, _ := traffic.Parts(d["weight"])
			d["weight"] = float64(parts)
		}
	}
	w := cluster(u)
	written, err := New(w, w, Options{}).Apply(t.Context(), target(v1alpha1.IstioVirtualService{}),
		headers(t, at(30), `[{name: hdr, match: [{headerName: x-beta, headerValue: {exact: "1"}}]}]`))
	if err != nil || len(written) != 0 {
		t.Errorf("wrote %v, %v", written, err)
	}
}

// Covers: edge 171, traffic edge 187.
func TestPingPongChangesPlacesAtEachPromotion(t *testing.T) {
	u := vs(t, "http: [{route: [{destination: {host: ping}, weight: 0}, {destination: {host: pong}, weight: 100}]}]")
	w := cluster(u)
	r := New(w, w, Options{})
	tg := target(v1alpha1.IstioVirtualService{})
	step := func(stable, canary string, weight int32, want string) {
		t.Helper()
		tg.StableService, tg.CanaryService = stable, canary
		s := headers(t, traffic.Two(100, weight, traffic.Destination{Service: stable}, traffic.Destination{Service: canary}), betaUsers)
		if weight == 0 || weight == 100 {
			s.Headers = nil
		}
		apply(t, r, tg, s)
		got := u.DeepCopy()
		got.Object["spec"] = specOf(t, w, u)
		if d := cmp.Diff(want, weightsOf(t, got)); d != "" {
			t.Error(d)
		}
	}
	step("pong", "ping", 0, "http:0,100")
	step("pong", "ping", 25, "hdr:100 http:25,75")
	step("pong", "ping", 100, "http:100,0")
	step("ping", "pong", 0, "http:100,0") // promoted: nothing moves, only who is who
	step("ping", "pong", 25, "hdr:100 http:75,25")
	if got := specOf(t, w, u).(map[string]any)["http"].([]any)[0].(map[string]any)["route"]; fmt.Sprint(got) != "[map[destination:map[host:pong] weight:100]]" {
		t.Errorf("the header route sends to %v", got)
	}
	step("ping", "pong", 100, "http:0,100")
}

func TestAVirtualServiceWithoutHTTPDoesNotKeepTheOthersFromLosingTheirRoutes(t *testing.T) {
	second := vs(t, "http: [{"+pair+"}]")
	second.SetName("api")
	first := vs(t, "tls: [{"+pair+"}]")
	w := cluster(first, second)
	r := New(w, w, Options{})
	tg := target(v1alpha1.IstioVirtualService{})
	tg.Routing.Istio = &v1alpha1.IstioTrafficRouting{VirtualServices: []v1alpha1.IstioVirtualService{{Name: "web"}, {Name: "api"}}}
	apply(t, r, tg, headers(t, at(30), betaUsers))
	if got := specOf(t, w, second).(map[string]any)["http"].([]any); len(got) != 2 {
		t.Errorf("routes %v", got)
	}
	apply(t, r, tg, at(0))
	wantSpec(t, w, second, "http: [{"+pair+"}]")
	wantSpec(t, w, first, "tls: [{"+pair+"}]")
}

func TestManagedRoutesNeedAnHTTPRoute(t *testing.T) {
	w := cluster(vs(t, "tcp: [{"+pair+"}]"))
	_, err := New(w, w, Options{}).Apply(t.Context(), target(v1alpha1.IstioVirtualService{}), headers(t, at(30), betaUsers))
	if err == nil || !strings.Contains(err.Error(), "managed routes need an HTTP route") {
		t.Error(err)
	}
}
