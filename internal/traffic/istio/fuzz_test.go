package istio

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/routertest"
)

// FuzzReadAndRender: whatever is in the objects, neither function panics, and a split that
// could be rendered is read back.
func FuzzReadAndRender(f *testing.F) {
	for _, text := range []string{hostService, otherService, subsetService, rule} {
		b, err := routertest.Object(f, text).MarshalJSON()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, b, int32(30))
	}
	vs, _ := routertest.Object(f, subsetService).MarshalJSON()
	dr, _ := routertest.Object(f, rule).MarshalJSON()
	f.Add(vs, dr, int32(5))
	f.Add([]byte(`{"spec":{"http":[1,{"route":{}},{"route":[null,{"destination":[],"weight":"x"}]}],"tls":{},"tcp":7}}`), []byte(`{"metadata":7,"spec":{"subsets":[{"name":"stable","labels":[]}]}}`), int32(-1))
	f.Fuzz(func(t *testing.T, service, rule []byte, weight int32) {
		var vs, dr map[string]any
		if utiljson.Unmarshal(service, &vs) != nil || utiljson.Unmarshal(rule, &dr) != nil || vs == nil || dr == nil {
			return
		}
		for _, tg := range []traffic.Target{hostTarget(), subsetTarget()} {
			if err := survives(tg, vs, dr, weight); err != nil {
				t.Error(err)
			}
		}
	})
}

func bare(p plan, weight int32) traffic.Split {
	s := traffic.Two(100, weight, traffic.Destination{Service: p.stable.service}, traffic.Destination{Service: p.canary.service})
	if p.rule != nil {
		s.Destinations[0].Hash, s.Destinations[1].Hash = "a", "b"
	}
	return s
}

// rich is a split with everything.
func rich(p plan, weight int32) traffic.Split {
	s := bare(p, weight)
	x := traffic.Destination{Role: traffic.Extra, Service: "exp", Weight: s.Weight(traffic.Stable) / 2}
	if p.rule != nil {
		x.Hash = "x"
	}
	s.Destinations[0].Weight -= x.Weight
	s.Destinations = append(s.Destinations, x)
	one := v1alpha1.StringMatch{Exact: "1"}
	s.Headers = []v1alpha1.SetHeaderRoute{{Name: "hdr", Match: []v1alpha1.HeaderRoutingMatch{{HeaderName: "x-beta", HeaderValue: &one}}}}
	s.Mirrors = []v1alpha1.SetMirrorRoute{{Name: "copy", Match: []v1alpha1.RouteMatch{{Method: &one}, {Path: &one, Headers: map[string]v1alpha1.StringMatch{"x": one}}}}}
	return s
}

// survives renders and reads, and returns what breaks the law.
func survives(tg traffic.Target, vs, dr map[string]any, weight int32) error {
	p := planOf(tg)
	objects := map[traffic.Ref]*unstructured.Unstructured{}
	for _, ref := range p.objects() {
		objects[ref] = &unstructured.Unstructured{Object: runtime.DeepCopyJSON(vs)}
		if ref.Kind == kindRule {
			objects[ref].Object = runtime.DeepCopyJSON(dr)
		}
	}
	read(objects, p)
	for _, s := range []traffic.Split{bare(p, weight), rich(p, weight)} {
		if render(objects, p, s) == nil {
			if got, problem := read(objects, p); problem != "" || !got.Equal(s) {
				return fmt.Errorf("rendered %s, read %s %s", s, got, problem)
			}
		}
	}
	if err := render(objects, p, traffic.Split{}); err != nil {
		return fmt.Errorf("render the zero split: %w", err)
	}
	return nil
}

func TestJunkAtAnyPlaceIsSurvived(t *testing.T) {
	dr := routertest.Object(t, rule).Object
	for text, tg := range map[string]traffic.Target{hostService: hostTarget(), subsetService: subsetTarget()} {
		// What was there before us, and what we make of it.
		p := planOf(tg)
		ours := map[traffic.Ref]*unstructured.Unstructured{}
		for _, ref := range p.objects() {
			ours[ref] = routertest.Object(t, text)
			if ref.Kind == kindRule {
				ours[ref] = routertest.Object(t, rule)
			} else if ref.Namespace == "edge" {
				ours[ref] = routertest.Object(t, otherService)
			}
		}
		if err := render(ours, p, rich(p, 30)); err != nil {
			t.Fatal(err)
		}
		for ref, u := range ours {
			for where, broken := range routertest.Broken(u.Object) {
				vs, dr := routertest.Object(t, text).Object, dr
				if ref.Kind == kindRule {
					dr = broken
				} else {
					vs = broken
				}
				if err := survives(tg, vs, dr, 30); err != nil {
					t.Errorf("rendered %s %s: %v", ref, where, err)
				}
			}
		}
		vs := routertest.Object(t, text).Object
		for where, broken := range routertest.Broken(vs) {
			if err := survives(tg, broken, dr, 30); err != nil {
				t.Errorf("VirtualService %s: %v", where, err)
			}
		}
		for where, broken := range routertest.Broken(dr) {
			if err := survives(tg, vs, broken, 30); err != nil {
				t.Errorf("DestinationRule %s: %v", where, err)
			}
		}
	}
}
