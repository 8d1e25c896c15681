package istio

import (
	"cmp"
	"strings"
	"testing"

	diff "github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/objects"
	"github.com/penstock-io/penstock/internal/traffic/routertest"
)

func route(list string) string { return "http: [{route: [" + list + "]}]" }

const (
	toStable = "{destination: {host: stable}, weight: 90}, "
	toCanary = "{destination: {host: canary}, weight: 10}"
)

// Covers: traffic defect 29.
func TestWhoseADestinationIs(t *testing.T) {
	tg := target(v1alpha1.IstioVirtualService{})
	for sentence, c := range map[string]struct {
		before, want string
		claim        string
		refused      string
		split        traffic.Split
		read         string
	}{
		"a foreign destination keeps its weight beside an experiment": {
			before: toStable + toCanary + ", {destination: {host: legacy}, weight: 10}", split: at(10, "exp 20"),
			read: "Stable stable 91 + Canary canary 10",
			want: "http:60,10,10,20",
		},
		"the experiment of a controller that was replaced is taken over": {
			before: toStable + toCanary + ", {destination: {host: web-7c4b-2-1-exp}, weight: 20}", split: at(10),
			read: "Stable stable 75 + Canary canary 9 + Extra web-7c4b-2-1-exp 17",
			want: "http:90,10",
		},
		"another rollout's experiment is not ours": {
			before: "{destination: {host: stable}, weight: 70}, " + toCanary + ", {destination: {host: webshop-7c4b-2-1-exp}, weight: 20}", split: at(20),
			read: "Stable stable 90 + Canary canary 10",
			want: "http:60,20,20",
		},
		"what another rollout claims is not ours": {
			before: "{destination: {host: stable}, weight: 70}, " + toCanary + ", {destination: {host: exp}, weight: 20}", split: at(20),
			claim: `{"shop/api":{"extras":["exp"]}}`,
			read:  "Stable stable 90 + Canary canary 10",
			want:  "http:60,20,20",
		},
		"what we claim is ours": {
			before: "{destination: {host: stable}, weight: 70}, " + toCanary + ", {destination: {host: exp}, weight: 20}", split: at(20),
			claim: `{"shop/web":{"extras":["exp"]}}`,
			read:  "Stable stable 70 + Canary canary 10 + Extra exp 20",
			want:  "http:80,20",
		},
		"a claimed name in another namespace is not ours": {
			before: "{destination: {host: stable}, weight: 70}, " + toCanary + ", {destination: {host: exp.other.svc.cluster.local}, weight: 20}", split: at(20, "exp 5"),
			claim: `{"shop/web":{"extras":["exp"]}}`,
			read:  "Stable stable 90 + Canary canary 10",
			want:  "http:55,20,20,5",
		},
		"a claimed name with a subset is not ours": {
			before: "{destination: {host: stable}, weight: 70}, " + toCanary + ", {destination: {host: exp, subset: v2}, weight: 20}", split: at(20),
			claim: `{"shop/web":{"extras":["exp"]}}`,
			read:  "Stable stable 90 + Canary canary 10",
			want:  "http:60,20,20",
		},
		"a user's destination of the same name is not taken": {
			before: "{destination: {host: stable}, weight: 70}, " + toCanary + ", {destination: {host: exp}, weight: 20}", split: at(20, "exp 5"),
			read:    "Stable stable 90 + Canary canary 10",
			refused: `the destination "exp" is in the route already`,
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			u := vs(t, route(c.before))
			if c.claim != "" {
				u.SetAnnotations(map[string]string{traffic.ClaimAnnotation: c.claim})
			}
			w := cluster(u)
			r := New(w, w, Options{})
			o, err := r.Observe(t.Context(), tg)
			if err != nil || o.Problem != "" || o.Written.String() != c.read {
				t.Errorf("read %s, want %s; %s %v", o.Written, c.read, o.Problem, err)
			}
			if c.refused != "" {
				if _, err := r.Apply(t.Context(), tg, c.split); err == nil || !strings.Contains(err.Error(), c.refused) {
					t.Errorf("apply: %v, want %q", err, c.refused)
				}
				return
			}
			apply(t, r, tg, c.split)
			got := u.DeepCopy()
			got.Object["spec"] = specOf(t, w, u)
			if d := diff.Diff(c.want, weightsOf(t, got)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestExtraHostsAreSpelledAsTheirNeighbours(t *testing.T) {
	for canary, want := range map[string]string{
		"canary": "exp.shop.svc.cluster.local", "canary.shop.svc.cluster.local": "exp.shop.svc.cluster.local",
		"canary.shop.svc.mesh.example": "exp.shop.svc.mesh.example", "canary.shop": "exp.shop",
	} {
		p := place{plan: planOf(hostTarget()), namespace: "edge"}
		if got := p.host("exp", canary); got != want {
			t.Errorf("beside %q in another namespace: %q, want %q", canary, got, want)
		}
	}
	p := place{plan: planOf(hostTarget()), namespace: "shop"}
	if got := p.host("exp", "canary"); got != "exp" {
		t.Errorf("in the rollout's namespace: %q", got)
	}
}

// Covers: edge 72.
func TestAnExperimentHasASubsetThatTellsItsRevision(t *testing.T) {
	u, dr := routertest.Object(t, subsetService), routertest.Object(t, rule)
	w := cluster(u, dr)
	r := New(w, w, Options{})
	s := traffic.Two(100, 30, traffic.Destination{Hash: "old"}, traffic.Destination{Hash: "new"})
	with := s
	with.Destinations = []traffic.Destination{s.Destinations[0], s.Destinations[1], {Role: traffic.Extra, Service: "web-new-2-1-a", Hash: "exp", Weight: 10}}
	with.Destinations[0].Weight -= 10
	apply(t, r, subsetTarget(), s, headers(t, with, betaUsers))
	wantSpec(t, w, dr, `
host: web.shop.svc.cluster.local
trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}
subsets:
- {name: stable, labels: {app: web, rollouts-pod-template-hash: old}, trafficPolicy: {connectionPool: {tcp: {maxConnections: 7}}}}
- {name: pinned, labels: {app: web, rollouts-pod-template-hash: mine}}
- {name: canary, labels: {rollouts-pod-template-hash: new}}
- {name: web-new-2-1-a, labels: {rollouts-pod-template-hash: exp}}`)
	wantSpec(t, w, u, `
http:
- name: hdr
  match: [{headers: {x-beta: {exact: "1"}}}, {headers: {agent: {prefix: curl}}}]
  route: [{destination: {host: web, subset: canary}, weight: 100}]
- route:
  - {destination: {host: web, subset: stable}, weight: 50}
  - {destination: {host: web, subset: canary}, weight: 30}
  - {destination: {host: web, subset: pinned}, weight: 10}
  - {destination: {host: other, subset: canary}, weight: 0}
  - {destination: {host: web-new-2-1-a}, weight: 10}`)
	with.Destinations[2].Hash = "exp2"
	apply(t, r, subsetTarget(), with, s, with)

	// Only the destination is gone: the subset shows, and goes with the next write.
	got := u.DeepCopy()
	if err := w.Get(t.Context(), client.ObjectKeyFromObject(u), got); err != nil {
		t.Fatal(err)
	}
	got.Object["spec"] = u.Object["spec"]
	if err := w.Update(t.Context(), got); err != nil {
		t.Fatal(err)
	}
	o, err := r.Observe(t.Context(), subsetTarget())
	if d, found := o.Written.Of(traffic.Extra); err != nil || !found || d.Weight != 0 || d.Hash != "exp2" {
		t.Errorf("observed %s, %v", o.Written, err)
	}
	apply(t, r, subsetTarget(), s)
}

// Covers: traffic edge 169.
func TestSubsetsThatAreNotOursStay(t *testing.T) {
	for sentence, c := range map[string]struct {
		service string
		listed  []string
		refused bool
		rename  string // of the user's subset
	}{
		"a user's subset of the same name is not taken": {service: "pinned", refused: true},
		"an additional subset is the user's":            {service: "pinned", listed: []string{"pinned"}, refused: true},
		"another name is free":                          {service: "exp"},
		"an additional subset stays whatever its name":  {service: "exp", listed: []string{"web-7c4b-2-1-x"}, rename: "web-7c4b-2-1-x"},
	} {
		t.Run(sentence, func(t *testing.T) {
			dr := routertest.Object(t, rule)
			pinned := objects.Entries(asMap(dr.Object["spec"])["subsets"])[1]
			pinned["name"] = cmp.Or(c.rename, "pinned")
			w := cluster(routertest.Object(t, subsetService), dr)
			tg := subsetTarget()
			tg.Routing.Istio.DestinationRule.AdditionalSubsetNames = c.listed
			s := traffic.Two(100, 30, traffic.Destination{Hash: "old"}, traffic.Destination{Hash: "new"})
			s.Destinations = append(s.Destinations, traffic.Destination{Role: traffic.Extra, Service: c.service, Hash: "x", Weight: 1})
			written, err := New(w, w, Options{}).Apply(t.Context(), tg, s)
			if (err != nil) != c.refused || c.refused && len(written) != 0 {
				t.Errorf("wrote %v, %v", written, err)
			}
			if got := objects.Entries(specOf(t, w, dr).(map[string]any)["subsets"]); diff.Diff(pinned, got[1]) != "" {
				t.Errorf("the user's subset is now %v", got[1])
			}
		})
	}
}

func TestTheZeroSplitLetsGoOfWhatIsBroken(t *testing.T) {
	u := vs(t, "http: [{name: hdr, "+pair+"}, {name: renamed, route: [{destination: {host: stable}, weight: 50}, {destination: {host: canary}, weight: 30}, {destination: {host: exp}, weight: 20}]}, "+
		"{name: testers, route: [{destination: {host: exp}}]}, {name: docs, route: [{destination: {host: exp}}, {destination: {host: docs}}]}]")
	u.SetAnnotations(map[string]string{"note": "keep", traffic.ClaimAnnotation: `{"shop/api":{"extras":["x"]},"shop/web":{"extras":["exp"]}}`})
	w := cluster(u)
	tg := target(v1alpha1.IstioVirtualService{Routes: []string{"primary"}})
	if _, err := New(w, w, Options{}).Apply(t.Context(), tg, traffic.Split{}); err != nil {
		t.Fatal(err)
	}
	wantSpec(t, w, u, "http: [{name: renamed, route: [{destination: {host: stable}, weight: 70}, {destination: {host: canary}, weight: 30}]}, {name: testers, route: [{destination: {host: exp}}]}, {name: docs, route: [{destination: {host: exp}}, {destination: {host: docs}}]}]")
	got := u.DeepCopy()
	if err := w.Get(t.Context(), client.ObjectKeyFromObject(u), got); err != nil {
		t.Fatal(err)
	}
	if d := diff.Diff(map[string]string{"note": "keep", traffic.ClaimAnnotation: `{"shop/api":{"extras":["x"]}}`}, got.GetAnnotations()); d != "" {
		t.Error(d)
	}
}

// Nobody who spoils the annotation can hold up an abort, or what came of an experiment.
func TestASpoiltClaimHoldsNothingUp(t *testing.T) {
	for _, kind := range []string{"VirtualService", "DestinationRule"} {
		vsObject, dr := routertest.Object(t, subsetService), routertest.Object(t, rule)
		w := cluster(vsObject, dr)
		r := New(w, w, Options{})
		moving := traffic.Two(100, 30, traffic.Destination{Hash: "old"}, traffic.Destination{Hash: "new"})
		moving.Destinations[0].Weight -= 10
		moving.Destinations = append(moving.Destinations, traffic.Destination{Role: traffic.Extra, Service: "web-7c4b-2-1-exp", Hash: "exp", Weight: 10})
		if _, err := r.Apply(t.Context(), subsetTarget(), moving); err != nil {
			t.Fatal(err)
		}
		u := map[string]*unstructured.Unstructured{"VirtualService": vsObject, "DestinationRule": dr}[kind]
		if err := w.Get(t.Context(), client.ObjectKeyFromObject(u), u); err != nil {
			t.Fatal(err)
		}
		u.SetAnnotations(map[string]string{traffic.ClaimAnnotation: "{"})
		if err := w.Update(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		aborted := traffic.Two(100, 0, traffic.Destination{Hash: "old"}, traffic.Destination{Hash: "new"})
		if _, err := r.Apply(t.Context(), subsetTarget(), aborted); err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if o, err := r.Observe(t.Context(), subsetTarget()); err != nil || o.Problem != "" || o.Written.Weight(traffic.Canary) != 0 || len(o.Written.Extras()) > 0 {
			t.Errorf("%s: after the abort %+v, %v", kind, o, err)
		}
	}
}

func TestReleaseTakesTheSubsetsOfExperimentsAway(t *testing.T) {
	dr := routertest.Object(t, rule)
	w := cluster(routertest.Object(t, subsetService), dr)
	r := New(w, w, Options{})
	s := traffic.Two(100, 30, traffic.Destination{Hash: "old"}, traffic.Destination{Hash: "new"})
	s.Destinations[0].Weight -= 10
	s.Destinations = append(s.Destinations, traffic.Destination{Role: traffic.Extra, Service: "exp", Hash: "x", Weight: 10})
	apply(t, r, subsetTarget(), s)
	got := dr.DeepCopy()
	if err := w.Get(t.Context(), client.ObjectKeyFromObject(dr), got); err != nil {
		t.Fatal(err)
	}
	Release(got.Object, "web")
	want := routertest.Object(t, rule)
	delete(asMap(objects.Entries(asMap(want.Object["spec"])["subsets"])[1]["labels"]), v1alpha1.PodTemplateHashLabel)
	got.SetResourceVersion("")
	if d := diff.Diff(want.Object, got.Object); d != "" {
		t.Error(d)
	}
}
