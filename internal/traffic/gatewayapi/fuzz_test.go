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
		b, err := object(f, text).MarshalJSON()
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

// survives renders and reads, and returns what breaks the law. It changes the object.
func survives(object map[string]any, section []byte, weight int32) error {
	p := planOf(traffic.Target{
		Namespace: "shop", Name: "web", StableService: "stable", CanaryService: "canary",
		Routing: &v1alpha1.RolloutTrafficRouting{Plugins: map[string]json.RawMessage{PluginName: section}},
	})
	read(object, p)
	readStatus(object, p)
	s := traffic.Two(100, weight, traffic.Destination{Service: "stable"}, traffic.Destination{Service: "canary"})
	if _, problem := render(object, p, s); problem == "" {
		if got, problem := read(object, p); problem != "" || !got.Equal(s) {
			return fmt.Errorf("rendered %s, read %s %s", s, got, problem)
		}
	}
	if _, problem := render(object, p, traffic.Split{}); problem != "" {
		return fmt.Errorf("render the zero split: %s", problem)
	}
	return nil
}

func TestJunkAtAnyPlaceIsSurvived(t *testing.T) {
	for where, broken := range routertest.Broken(object(t, web).Object) {
		if err := survives(broken, []byte(`{"httpRoute":"web"}`), 30); err != nil {
			t.Errorf("%s: %v", where, err)
		}
	}
}
