package gatewayapi

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/objects"
	"github.com/penstock-io/penstock/internal/traffic/routertest"
)

func cluster(objects ...*unstructured.Unstructured) client.WithWatch {
	b := fake.NewClientBuilder().WithScheme(runtime.NewScheme())
	for _, u := range objects {
		b = b.WithObjects(u)
	}
	return b.Build()
}

func get(t *testing.T, c client.Client, name string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(Options{}.gvk(kinds[0]))
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: name}, u); err != nil {
		t.Fatal(err)
	}
	return u
}

// weightsOf prints the weights of all backends, rule by rule: "- 7 70,30,25".
func weightsOf(u *unstructured.Unstructured) string {
	var texts []string
	list, _, _ := unstructured.NestedFieldNoCopy(u.Object, "spec", "rules")
	for _, r := range objects.Entries(list) {
		var ws []string
		for _, b := range objects.Entries(r["backendRefs"]) {
			w := "-"
			if v, there := b["weight"]; there {
				w = fmt.Sprint(v)
			}
			ws = append(ws, w)
		}
		texts = append(texts, strings.Join(ws, ","))
	}
	return strings.Join(texts, " ")
}

func at(weight int32) traffic.Split {
	return traffic.Two(100, weight, traffic.Destination{Service: "stable"}, traffic.Destination{Service: "canary"})
}

// Covers: traffic edge 186, traffic defect 35.
func TestOnlyRulesWithBothBackendsChange(t *testing.T) {
	w := cluster(routertest.Object(t, web))
	r := New(w, w, Options{})
	for _, c := range []struct {
		split traffic.Split
		want  string
		label string
	}{
		{at(30), "- 7 70,30,25,0,0 30,70", "in-progress"},
		{at(100), "- 7 0,100,25,0,0 100,0", "in-progress"},
		{at(0), "- 7 100,0,25,0,0 0,100", ""},
		{at(1), "- 7 99,1,25,0,0 1,99", "in-progress"},
		{traffic.Split{}, "- 7 100,0,25,0,0 0,100", ""},
	} {
		if _, err := r.Apply(t.Context(), target(`{httpRoute: web}`), c.split); err != nil {
			t.Fatal(err)
		}
		u := get(t, w, "web")
		if got := weightsOf(u); got != c.want {
			t.Errorf("at %s: %s, want %s", c.split, got, c.want)
		}
		if got := u.GetLabels()[defaultLabelKey]; got != c.label {
			t.Errorf("at %s: label %q, want %q", c.split, got, c.label)
		}
	}
}

func TestWeightsThatAreNotOursToReadAsTheyAre(t *testing.T) {
	for name, c := range map[string]struct {
		backends     string
		stable, want int32
	}{
		"no weights are a half each":           {`{name: stable}, {name: canary}`, 50, 50},
		"thirds are rounded up":                {`{name: stable}, {name: canary, weight: 2}`, 34, 67},
		"all zero is no split":                 {`{name: stable, weight: 0}, {name: canary, weight: 0}`, 0, 0},
		"foreign weights are beside the point": {`{name: stable, weight: 95}, {name: canary, weight: 5}, {name: x, weight: 900}`, 95, 5},
		"two ports add up":                     {`{name: stable, weight: 90}, {name: canary, port: 1, weight: 5}, {name: canary, port: 2, weight: 5}`, 90, 10},
		"rules that differ need both":          {`{name: stable, weight: 90}, {name: canary, weight: 10}]}, {backendRefs: [{name: stable, weight: 40}, {name: canary, weight: 60}`, 90, 60},
	} {
		t.Run(name, func(t *testing.T) {
			w := cluster(route(t, "rules: [{backendRefs: ["+c.backends+"]}]", ""))
			o, err := New(w, w, Options{}).Observe(t.Context(), target(`{httpRoute: web}`))
			if err != nil || o.Problem != "" {
				t.Fatal(err, o.Problem)
			}
			if st, ca := o.Written.Weight(traffic.Stable), o.Written.Weight(traffic.Canary); st != c.stable || ca != c.want {
				t.Errorf("read %d and %d, want %d and %d", st, ca, c.stable, c.want)
			}
		})
	}
}

func route(t *testing.T, spec, status string) *unstructured.Unstructured {
	return routertest.Object(t, "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: web, namespace: shop, generation: 3}\nspec: {"+
		spec+"}\n"+status)
}

const healthy = "rules: [{backendRefs: [{name: stable, weight: 70}, {name: canary, weight: 30}]}]"

func condition(kind, status string, generation int) string {
	return fmt.Sprintf("{type: %s, status: %q, observedGeneration: %d, reason: Because, message: it is so}", kind, status, generation)
}

// Covers: traffic defect 35.
func TestConfirmation(t *testing.T) {
	good := condition("Accepted", "True", 3) + ", " + condition("ResolvedRefs", "True", 3)
	parents := func(conditions ...string) string {
		var list []string
		for i, c := range conditions {
			list = append(list, fmt.Sprintf("{parentRef: {name: gw%d, namespace: infra, sectionName: https}, conditions: [%s]}", i, c))
		}
		return "status: {parents: [" + strings.Join(list, ", ") + "]}"
	}
	for name, c := range map[string]struct {
		status    string
		confirmed bool
		settle    time.Duration
		problem   string
	}{
		"every parent follows":                                   {status: parents(good, good), confirmed: true, settle: defaultSettle},
		"no parent says anything":                                {status: "", settle: defaultSettle},
		"an empty list says nothing":                             {status: "status: {parents: []}", settle: defaultSettle},
		"one parent is a generation late":                        {status: parents(good, condition("Accepted", "True", 2)+", "+condition("ResolvedRefs", "True", 3)), settle: defaultLag},
		"a condition is missing":                                 {status: parents(condition("Accepted", "True", 3)), settle: defaultLag},
		"a condition is unknown":                                 {status: parents(condition("Accepted", "Unknown", 3) + ", " + condition("ResolvedRefs", "True", 3)), settle: defaultLag},
		"a refusal of an older generation is not about this one": {status: parents(condition("Accepted", "False", 2) + ", " + condition("ResolvedRefs", "True", 3)), settle: defaultLag},
		"a parent refuses": {
			status: parents(good, condition("Accepted", "True", 3)+", "+condition("ResolvedRefs", "False", 3)), settle: defaultLag,
			problem: "HTTPRoute/shop/web: Gateway infra/gw1, section https says ResolvedRefs is False, Because: it is so",
		},
		"other conditions do not matter": {status: parents(good + ", " + condition("Programmed", "False", 3)), confirmed: true, settle: defaultSettle},
	} {
		t.Run(name, func(t *testing.T) {
			w := cluster(route(t, healthy, c.status))
			o, err := New(w, w, Options{}).Observe(t.Context(), target(`{httpRoute: web}`))
			if err != nil {
				t.Fatal(err)
			}
			if o.Confirmed != c.confirmed || o.Settle != c.settle || o.Problem != c.problem || !o.Written.Equal(at(30)) {
				t.Errorf("observed %+v", o)
			}
		})
	}
}

func TestProblems(t *testing.T) {
	const section = `spec.strategy.canary.trafficRouting.plugins["argoproj-labs/gatewayAPI"]`
	const keys = "httpRoute, httpRoutes, httpRouteSelector, grpcRoute, grpcRoutes, grpcRouteSelector, " +
		"tcpRoute, tcpRoutes, tcpRouteSelector, tlsRoute, tlsRoutes or tlsRouteSelector"
	two := int32(2_000_000)
	for name, c := range map[string]struct {
		section string
		mod     func(*traffic.Target)
		want    string
	}{
		"no route is named":         {section: `{namespace: shop}`, want: section + ": No routes configured. At least one of " + keys + " must be set"},
		"the section is empty":      {section: `null`, want: section + ": No routes configured. At least one of " + keys + " must be set"},
		"the section is no object":  {section: `[1]`, want: section + ": want an object, got a JSON array"},
		"a name is a number":        {section: `{httpRoute: 7}`, want: section + ".httpRoute: want string, got a JSON number"},
		"a nested name is a number": {section: `{httpRoutes: [{name: true}]}`, want: section + ".httpRoutes.name: want string, got a JSON bool"},
		"a name is missing":         {section: `{httpRoutes: [{name: web}, {}]}`, want: section + ".httpRoutes[1].name: name the HTTPRoute"},
		"a list is an object":       {section: `{tcpRoutes: {name: db}}`, want: section + ".tcpRoutes: want a list, got a JSON object"},
		"an entry is a name":        {section: `{grpcRoutes: [web]}`, want: section + ".grpcRoutes: want an object, got a JSON string"},
		"a name in a list twice":    {section: `{tlsRoutes: [{name: db}, {name: web}, {name: db}]}`, want: section + `.tlsRoutes[2].name: name each TLSRoute once, got "db" again`},
		"a selector finds nothing":  {section: `{httpRouteSelector: {matchLabels: {a: b}}}`, want: section + `.httpRouteSelector: no HTTPRoute in namespace shop matches "a=b"`},
		"a selector is malformed":   {section: `{httpRouteSelector: {matchExpressions: [{key: a, operator: Like}]}}`, want: section + `.httpRouteSelector: "Like" is not a valid label selector operator`},
		"no Services":               {section: `{httpRoute: web}`, mod: func(t *traffic.Target) { t.StableService = "" }, want: "Canary service and Stable service must to be set to use Traffic Routing"},
		"one Service for both":      {section: `{httpRoute: web}`, mod: func(t *traffic.Target) { t.StableService = "canary" }, want: "This rollout uses the same service for the stable and canary services, but two different services are required."},
		"a total above the API's":   {section: `{httpRoute: web}`, mod: func(t *traffic.Target) { t.Routing.MaxTrafficWeight = &two }, want: "spec.strategy.canary.trafficRouting.maxTrafficWeight: 2000000 is out of range, the Gateway API takes weights of 1 to 1000000"},
		"no rule with both":         {section: `{httpRoute: web}`, mod: func(t *traffic.Target) { t.CanaryService = "next" }, want: `backendRef was not found in httpRoute: HTTPRoute/shop/web has no rule in spec.rules with both Services "stable" and "next" of namespace shop in its backendRefs: add them`},
	} {
		t.Run(name, func(t *testing.T) {
			w := cluster(routertest.Object(t, web))
			r := New(w, w, Options{})
			tg := target(c.section)
			if c.mod != nil {
				c.mod(&tg)
			}
			o, err := r.Observe(t.Context(), tg)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, o.Problem); d != "" || o.Confirmed {
				t.Error(d)
			}
			s := at(30)
			if written, err := r.Apply(t.Context(), tg, s); err == nil || err.Error() != c.want || len(written) != 0 {
				t.Errorf("apply wrote %v, error %v", written, err)
			}
			if got := get(t, w, "web").GetResourceVersion(); got != "999" {
				t.Error("the route was touched")
			}
			if _, err := r.Apply(t.Context(), tg, traffic.Split{}); err != nil {
				t.Errorf("the zero split must let go of a broken object: %v", err)
			}
		})
	}
}

func TestEmptyKeysOfOtherKindsAreNoRoutes(t *testing.T) {
	if p := planOf(target(`{httpRoute: web, grpcRoute: "", tcpRoutes: [], tlsRouteSelector: null, some: thing}`)); p.problem != "" {
		t.Error(p.problem)
	}
}

func TestASelectorFindsRoutes(t *testing.T) {
	w := cluster(routertest.Object(t, web), routertest.Object(t, api))
	tg := target(`{httpRouteSelector: {matchLabels: {routes: web}}}`)
	r := New(w, w, Options{})
	written, err := r.Apply(t.Context(), tg, at(30))
	if err != nil || len(written) != 1 || written["HTTPRoute/shop/api"] == "" {
		t.Fatalf("wrote %v, %v", written, err)
	}
	o, err := r.Observe(t.Context(), tg)
	if err != nil || !o.Written.Equal(at(30)) {
		t.Fatalf("observed %+v, %v", o, err)
	}
	if d := cmp.Diff(map[string]string(written), o.Versions); d != "" {
		t.Error(d)
	}
	if got := Objects(tg); len(got) != 1 || got[0] != (traffic.Ref{Group: group, Kind: "HTTPRoute", Namespace: "shop"}) {
		t.Errorf("objects %v", got)
	}
}

func TestARouteInAnotherNamespaceNamesTheServicesInFull(t *testing.T) {
	for name, c := range map[string]struct {
		backends string
		found    bool
	}{
		"with the namespace":    {`{name: stable, namespace: shop}, {name: canary, namespace: shop}`, true},
		"without the namespace": {`{name: stable}, {name: canary}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			u := route(t, "rules: [{backendRefs: ["+c.backends+"]}]", "")
			u.SetNamespace("infra")
			w := cluster(u)
			o, err := New(w, w, Options{}).Observe(t.Context(), target(`{httpRoute: web, namespace: infra}`))
			if err != nil || (o.Problem == "") != c.found {
				t.Errorf("problem %q, error %v", o.Problem, err)
			}
		})
	}
}

func TestObjectsToWatch(t *testing.T) {
	ref := func(name string) traffic.Ref {
		return traffic.Ref{Group: "gateway.networking.k8s.io", Kind: "HTTPRoute", Namespace: "shop", Name: name}
	}
	if got, want := Objects(target(`{httpRoute: web, httpRoutes: [{name: web}, {name: api}]}`)), []traffic.Ref{ref("web"), ref("api")}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for name, r := range map[string]*v1alpha1.RolloutTrafficRouting{"nothing": nil, "another router": {Istio: &v1alpha1.IstioTrafficRouting{}}} {
		if Uses(r) || Objects(traffic.Target{Routing: r}) != nil {
			t.Errorf("%s is not the Gateway API", name)
		}
	}
	if !Uses(target(`{}`).Routing) {
		t.Error("a rollout with the section uses it")
	}
}
