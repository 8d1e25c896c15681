package istio

import (
	"context"
	"errors"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/routertest"
)

func serviceWith(t *testing.T, name, ports string) *unstructured.Unstructured {
	t.Helper()
	return routertest.Object(t, "apiVersion: v1\nkind: Service\nmetadata: {name: "+name+", namespace: shop}\nspec: {ports: ["+ports+"]}")
}

// A sidecar that is told no port takes the one that was called, and finds no cluster where
// the experiment's Service does not have it.
func TestAnExtraDestinationNamesThePortOfItsPods(t *testing.T) {
	const (
		named = "{port: 80, targetPort: http}"
		two   = "{name: metrics, port: 9090, targetPort: 9090}, {name: http, port: 8080, targetPort: 8080}"
	)
	for sentence, c := range map[string]struct {
		canary, experiment string // ports of the Services; "" is no Service
		beside             string // more of the canary destination
		want               string // more of the extra one
	}{
		"the only one":                                 {canary: named, experiment: "{port: 8080, targetPort: 8080}", want: ", port: {number: 8080}"},
		"the only one, without a canary Service":       {experiment: "{port: 8080, targetPort: 8080}", want: ", port: {number: 8080}"},
		"of several the one with the name":             {canary: named, experiment: two, want: ", port: {number: 8080}"},
		"of several the one with the number":           {canary: "{port: 80, targetPort: 9090}", experiment: two, want: ", port: {number: 9090}"},
		"without a target the port itself":             {canary: "{port: 8080}", experiment: two, want: ", port: {number: 8080}"},
		"the one that the canary destination names":    {canary: named + ", {port: 81, targetPort: metrics}", beside: ", port: {number: 81}", experiment: two, want: ", port: {number: 9090}"},
		"the first that both have":                     {canary: "{port: 7, targetPort: 7}, " + named, experiment: two, want: ", port: {number: 8080}"},
		"one that takes no connections does not count": {canary: named, experiment: "{port: 53, targetPort: 53, protocol: UDP}, {port: 8080, targetPort: 8080, protocol: TCP}", want: ", port: {number: 8080}"},
		"none where none fits":                         {canary: "{port: 80, targetPort: admin}", experiment: two},
		"none where there is no Service":               {canary: named},
	} {
		t.Run(sentence, func(t *testing.T) {
			before := "{destination: {host: stable}, weight: 90}, {destination: {host: canary" + c.beside + "}, weight: 10}"
			u := vs(t, route(before))
			all := []*unstructured.Unstructured{u}
			if c.canary != "" {
				all = append(all, serviceWith(t, "canary", c.canary))
			}
			if c.experiment != "" {
				all = append(all, serviceWith(t, "exp", c.experiment))
			}
			w := cluster(all...)
			apply(t, New(w, w, Options{}), target(v1alpha1.IstioVirtualService{}), at(10, "exp 20"))
			wantSpec(t, w, u, route("{destination: {host: stable}, weight: 70}, {destination: {host: canary"+c.beside+"}, weight: 10}, {destination: {host: exp"+c.want+"}, weight: 20}"))
		})
	}
}

func TestWithSubsetsThePortIsThatOfTheHost(t *testing.T) {
	u, dr := routertest.Object(t, subsetService), routertest.Object(t, rule)
	w := cluster(u, dr, serviceWith(t, "web", "{port: 80, targetPort: http}"),
		serviceWith(t, "exp", "{name: metrics, port: 9090, targetPort: 9090}, {name: http, port: 8080, targetPort: 8080}"))
	s := traffic.Two(100, 30, traffic.Destination{Hash: "old"}, traffic.Destination{Hash: "new"})
	s.Destinations[0].Weight -= 10
	s.Destinations = append(s.Destinations, traffic.Destination{Role: traffic.Extra, Service: "exp", Hash: "x", Weight: 10})
	apply(t, New(w, w, Options{}), subsetTarget(), s)
	wantSpec(t, w, u, `
http:
- route:
  - {destination: {host: web, subset: stable}, weight: 50}
  - {destination: {host: web, subset: canary}, weight: 30}
  - {destination: {host: web, subset: pinned}, weight: 10}
  - {destination: {host: other, subset: canary}, weight: 0}
  - {destination: {host: exp, port: {number: 8080}}, weight: 10}`)
}

func TestAPortThatIsNotThatOfThePodsIsMendedWithTheNextWrite(t *testing.T) {
	u := vs(t, route(toStable+toCanary+", {destination: {host: web-7c4b-2-1-exp, port: {number: 80}}, weight: 5}"))
	w := cluster(u, serviceWith(t, "web-7c4b-2-1-exp", "{port: 8080, targetPort: 8080}"))
	apply(t, New(w, w, Options{}), target(v1alpha1.IstioVirtualService{}), at(10, "web-7c4b-2-1-exp 20"))
	wantSpec(t, w, u, route("{destination: {host: stable}, weight: 70}, "+toCanary+", {destination: {host: web-7c4b-2-1-exp, port: {number: 8080}}, weight: 20}"))
}

func TestWithoutTheServicesOfAnExperimentNothingIsWritten(t *testing.T) {
	u := vs(t, route(toStable+toCanary))
	w := cluster(u)
	broken := interceptor.NewClient(w, interceptor.Funcs{Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
		return errors.New("no answer")
	}})
	written, err := New(w, broken, Options{}).Apply(t.Context(), target(v1alpha1.IstioVirtualService{}), at(10, "exp 20"))
	if err == nil || !strings.Contains(err.Error(), "get Service shop/") || len(written) != 0 {
		t.Errorf("wrote %v, %v", written, err)
	}
	wantSpec(t, w, u, route(toStable+toCanary))
}
