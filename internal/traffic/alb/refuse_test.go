package alb

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/routertest"
)

// Covers: traffic edge 176, traffic edge 177.
func TestWhatCannotCarryASplit(t *testing.T) {
	routed, mirrored := at(5), at(5)
	routed.Headers = []v1alpha1.SetHeaderRoute{header("hdr", "x", "1")}
	prefixed := at(5)
	prefixed.Headers = []v1alpha1.SetHeaderRoute{{Name: "hdr", Match: []v1alpha1.HeaderRoutingMatch{{HeaderName: "x", HeaderValue: &v1alpha1.StringMatch{Prefix: "a"}}}}}
	hollow := at(5)
	hollow.Headers = []v1alpha1.SetHeaderRoute{{Name: "hdr", Match: []v1alpha1.HeaderRoutingMatch{{HeaderName: "x"}}}}
	mirrored.Mirrors = []v1alpha1.SetMirrorRoute{{Name: "hdr", Match: []v1alpha1.RouteMatch{{}}}}
	noted := func(notes map[string]string) client.Object {
		u := routertest.Object(t, second)
		u.SetAnnotations(notes)
		return u
	}
	plain := func() client.Object { return routertest.Object(t, second) }
	sticky := func(seconds int64) func(*traffic.Target) {
		return func(t *traffic.Target) {
			t.Routing.ALB.StickinessConfig = &v1alpha1.StickinessConfig{Enabled: true, DurationSeconds: seconds}
		}
	}
	const tooLong = "TargetGroupStickinessConfig's duration must be between 1 and 604800 seconds (7 days)!"
	for name, c := range map[string]struct {
		object client.Object
		change func(*traffic.Target)
		split  traffic.Split
		want   string
	}{
		"no rule for the root Service": {plain(), func(t *traffic.Target) { t.Routing.ALB.RootService = "x" }, at(5),
			path + `.ingresses: Invalid value: "second": ingress ` + "`second` has no rules using service x backend"},
		"stable for root": {plain(), func(t *traffic.Target) {
			t.Routing.ALB.RootService, t.Routing.ALB.Ingress, t.Routing.ALB.Ingresses = "", "second", nil
		}, at(5), path + `.ingress: Invalid value: "second": ingress ` + "`second` has no rules using service stable backend"},
		"a book that is no JSON":        {noted(map[string]string{bookKey: "{"}), nil, at(5), "annotation " + bookKey + " cannot be read"},
		"a former book that is none":    {noted(map[string]string{formerKey: "web:x"}), nil, at(5), "annotation " + formerKey + " cannot be read"},
		"a list that is none":           {noted(map[string]string{bookKey: `{"web":7}`}), nil, at(5), "annotation " + bookKey + " cannot be read for web"},
		"a foreign action of the name":  {noted(map[string]string{"alb.ingress.kubernetes.io/actions.hdr": "{}"}), nil, routed, "annotation alb.ingress.kubernetes.io/actions.hdr is somebody else's"},
		"a header by prefix":            {plain(), nil, prefixed, "SetHeaderRoute match value invalid. ALB supports 'exact' value only"},
		"a header without a value":      {plain(), nil, hollow, "SetHeaderRoute match value invalid. ALB supports 'exact' value only"},
		"a mirror":                      {plain(), nil, mirrored, `mirror route "hdr" cannot be set`},
		"no stickiness":                 {plain(), sticky(0), at(5), tooLong},
		"too long a stickiness":         {plain(), sticky(604801), at(5), tooLong},
		"none named":                    {plain(), func(t *traffic.Target) { t.Routing.ALB.Ingresses = nil }, at(5), path + ": Internal error: Either Ingress or Ingresses must be configured. Neither are configured."},
		"both":                          {plain(), func(t *traffic.Target) { t.Routing.ALB.Ingress = "x" }, at(5), path + ": Internal error: Either Ingress or Ingresses must be configured. Both are configured."},
		"one twice":                     {plain(), func(t *traffic.Target) { t.Routing.ALB.Ingresses = []string{"second", "second"} }, at(5), path + ".ingresses[1]: name each Ingress once"},
		"one Service for both":          {plain(), func(t *traffic.Target) { t.CanaryService = "stable" }, at(5), "two different services are required"},
		"a managed route like root":     {plain(), func(t *traffic.Target) { t.Routing.ManagedRoutes[0].Name = "root" }, at(5), `managedRoutes: "root" is a Service of the rollout`},
		"a rollout that has no section": {plain(), func(t *traffic.Target) { t.Routing.ALB = nil }, at(5), path + ": the rollout has no such section"},
	} {
		t.Run(name, func(t *testing.T) {
			to := targetOf(section())
			to.Routing.ALB.Ingresses = []string{"second"}
			if c.change != nil {
				c.change(&to)
			}
			cluster := clusterOf(c.object)
			r := New(cluster, cluster, Options{})
			if _, err := r.Apply(t.Context(), to, c.split); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("apply: %v", err)
			}
			if _, err := r.Observe(t.Context(), to); err != nil {
				t.Errorf("observe: %v", err)
			}
			if written, err := r.Apply(t.Context(), to, traffic.Split{}); err != nil || len(written) != 0 {
				t.Errorf("remove: %v %v", written, err)
			}
		})
	}
	if got := Objects(targetOf(section())); len(got) != 2 || got[1].Name != "second" || Objects(traffic.Target{}) != nil || len((Options{}).Kinds(traffic.Target{})) != 1 {
		t.Errorf("objects %v", got)
	}
}

// FuzzReadAndRender: whatever the Ingress and its annotations are, nothing panics, and a split
// that could be written is read back, and undone without a trace in others' annotations.
func FuzzReadAndRender(f *testing.F) {
	rules := `{"rules":[{"http":{"paths":[{"backend":{"service":{"name":"root","port":{"name":"use-annotation"}}}}]}}]}`
	f.Add([]byte(rules), letGone, `{"web":["`+rootAction+`","x/actions.root","x/conditions.y"]}`, `{}`, int32(5), "v")
	f.Add([]byte(rules), `{"ForwardConfig":{"TargetGroups":[{"ServiceName":"","Weight":-1},{"ServicePort":1e9},null]}}`, `{"api":[7]}`, `{"shop/web":{"headers":[{"name":"hdr"}]}}`, int32(-1), "")
	f.Add([]byte(`{"rules":[1,{"http":7},{"http":{"paths":[null,{"backend":{"resource":{}}},{"backend":{"service":{"name":"root"}}}]}}]}`), "", `{"web":null}`, `{"shop/web":{"headers":[{"name":"","match":[{"headerName":"x","headerValue":{"exact":"1"}}]}]}}`, int32(100), "*")
	f.Fuzz(func(t *testing.T, spec []byte, action, book, claim string, weight int32, value string) {
		if !utf8.ValidString(value) {
			return // no manifest holds such a text
		}
		notes, err := json.Marshal(map[string]string{rootAction: action, bookKey: book, traffic.ClaimAnnotation: claim})
		u := &unstructured.Unstructured{}
		if err != nil || u.UnmarshalJSON(fmt.Appendf(nil, `{"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"web","annotations":%s},"spec":%s}`, notes, spec)) != nil {
			return
		}
		to := targetOf(section())
		to.Routing.ALB.Ingresses = []string{"web"}
		p := planOf(to)
		want := traffic.Two(100, weight, traffic.Destination{Service: "stable"}, traffic.Destination{Service: "canary"})
		want.Headers = []v1alpha1.SetHeaderRoute{header("hdr", "x", value, "y", "1")}
		have := []map[string]any{u.Object}
		p.Read(have)
		if p.Refuse(want) != "" || p.Render(have, want, false) != "" {
			p.Render(have, want, true)
			return
		}
		if got, problem := p.Read(have); problem != "" || !got.Equal(want) {
			t.Errorf("%s gave %s %s, want %s", spec, got, problem, want)
		}
		if problem := p.Render(have, at(0), true); problem != "" {
			t.Error(problem)
		}
	})
}
