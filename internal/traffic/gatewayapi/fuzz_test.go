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

func FuzzHTTPRoute(f *testing.F) { fuzz(f, "HTTPRoute", "HTTPRoutes") }
func FuzzGRPCRoute(f *testing.F) { fuzz(f, "GRPCRoute", "GRPCRoutes") }
func FuzzTCPRoute(f *testing.F)  { fuzz(f, "TCPRoute", "TCPRoutes") }
func FuzzTLSRoute(f *testing.F)  { fuzz(f, "TLSRoute", "TLSRoutes") }

// fuzz: whatever is in the object and the section, nothing panics, and a split that could
// be rendered is read back.
func fuzz(f *testing.F, kind, world string) {
	k := kindNamed(kind)
	for _, text := range contracts[world].objects {
		b, err := routertest.Object(f, text).MarshalJSON()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, []byte(`{"`+k.section+`":"web"}`), int32(30))
	}
	f.Add([]byte(`{"metadata":{"labels":7},"spec":{"rules":[1,{"backendRefs":[null,{"name":"stable","weight":"x"},{"name":"canary","weight":-1.5}]}]},"status":{"parents":[{},3]}}`),
		[]byte(`{"`+k.section+`s":[{}],"namespace":""}`), int32(-1))
	f.Fuzz(func(t *testing.T, route, section []byte, weight int32) {
		var object map[string]any
		if utiljson.Unmarshal(route, &object) != nil || object == nil {
			return
		}
		if err := survives(k, object, section, weight); err != nil {
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
func survives(k *kind, object map[string]any, section []byte, weight int32) error {
	p := planOf(traffic.Target{
		Namespace: "shop", Name: "web", StableService: "stable", CanaryService: "canary",
		Routing: &v1alpha1.RolloutTrafficRouting{Plugins: map[string]json.RawMessage{PluginName: section}, ManagedRoutes: managedNames},
	})
	on := place{p, k, object}
	on.read()
	on.status()
	for _, s := range []traffic.Split{at(weight), rich(weight)} {
		if !on.headers() {
			s.Headers = nil
		}
		if !k.requests() {
			s.Mirrors = nil
		}
		if _, problem := on.render(s); problem == "" {
			if got, problem := on.read(); problem != "" || !got.Equal(s) {
				return fmt.Errorf("rendered %s, read %s %s", s, got, problem)
			}
		}
	}
	if _, problem := on.render(traffic.Split{}); problem != "" {
		return fmt.Errorf("render the zero split: %s", problem)
	}
	return nil
}

func TestJunkAtAnyPlaceIsSurvived(t *testing.T) {
	for name, text := range map[string]string{"HTTPRoute": web, "GRPCRoute": grpc, "TCPRoute": connections, "TLSRoute": tls} {
		k := kindNamed(name)
		section := []byte(`{"` + k.section + `":"web"}`)
		ours := routertest.Object(t, text).Object
		if _, problem := (place{planOf(target(string(section))), k, ours}).render(rich(30)); problem != "" {
			t.Fatal(problem)
		}
		for sentence, o := range map[string]map[string]any{"before us": routertest.Object(t, text).Object, "as we write it": ours} {
			for where, broken := range routertest.Broken(o) {
				if err := survives(k, broken, section, 30); err != nil {
					t.Errorf("%s %s, %s: %v", name, sentence, where, err)
				}
			}
		}
	}
}
