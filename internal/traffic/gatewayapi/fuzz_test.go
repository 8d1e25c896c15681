package gatewayapi

import (
	"encoding/json"
	"fmt"
	"testing"

	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/routertest"
)

// FuzzReadAndRender: whatever is in the object and the section, nothing panics, and a
// split that could be rendered is read back.
func FuzzReadAndRender(f *testing.F) {
	for _, text := range []string{web, api} {
		b, err := routertest.Object(f, text).MarshalJSON()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, []byte(`{"httpRoute":"web"}`), int32(30))
	}
	f.Add([]byte(`{"metadata":{"labels":7},"spec":{"rules":[1,{"backendRefs":[null,{"name":"stable","weight":"x"},{"name":"canary","weight":-1.5}]}]},"status":{"parents":[{},3]}}`),
		[]byte(`{"httpRoutes":[{}],"namespace":""}`), int32(-1))
	f.Fuzz(func(t *testing.T, route, section []byte, weight int32) {
		var object map[string]any
		if utiljson.Unmarshal(route, &object) != nil || object == nil {
			return
		}
		if err := survives(object, section, weight); err != nil {
			t.Error(err)
		}
	})
}

// rich is a split with everything.
func rich(weight int32) traffic.Split {
	s := at(weight)
	s = withExtra(s, "exp", s.Weight(traffic.Stable)/2)
	one := v1alpha1.StringMatch{Exact: "1"}
	s.Headers = []v1alpha1.SetHeaderRoute{{Name: "hdr", Match: []v1alpha1.HeaderRoutingMatch{{HeaderName: "x-beta", HeaderValue: &one}}}}
	s.Mirrors = []v1alpha1.SetMirrorRoute{{Name: "copy", Match: []v1alpha1.RouteMatch{{Method: &one}, {Path: &one, Headers: map[string]v1alpha1.StringMatch{"x": one}}}}}
	return s
}

// survives renders and reads, and returns what breaks the law. It changes the object.
func survives(object map[string]any, section []byte, weight int32) error {
	p := planOf(traffic.Target{
		Namespace: "shop", Name: "web", StableService: "stable", CanaryService: "canary",
		Routing: &v1alpha1.RolloutTrafficRouting{Plugins: map[string]json.RawMessage{PluginName: section}, ManagedRoutes: managedNames},
	})
	read(object, p)
	readStatus(object, p)
	for _, s := range []traffic.Split{at(weight), rich(weight)} {
		if !p.headersOn(object) {
			s.Headers = nil
		}
		if _, problem := render(object, p, s); problem == "" {
			if got, problem := read(object, p); problem != "" || !got.Equal(s) {
				return fmt.Errorf("rendered %s, read %s %s", s, got, problem)
			}
		}
	}
	if _, problem := render(object, p, traffic.Split{}); problem != "" {
		return fmt.Errorf("render the zero split: %s", problem)
	}
	return nil
}

func TestJunkAtAnyPlaceIsSurvived(t *testing.T) {
	ours := routertest.Object(t, web).Object
	if _, problem := render(ours, planOf(target(`{httpRoute: web}`)), rich(30)); problem != "" {
		t.Fatal(problem)
	}
	for sentence, o := range map[string]map[string]any{"before us": routertest.Object(t, web).Object, "as we write it": ours} {
		for where, broken := range routertest.Broken(o) {
			if err := survives(broken, []byte(`{"httpRoute":"web"}`), 30); err != nil {
				t.Errorf("%s, %s: %v", sentence, where, err)
			}
		}
	}
}
