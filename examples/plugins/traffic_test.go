package plugins_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/plugin"
	"github.com/penstock-io/penstock/internal/traffic"
	trafficplugin "github.com/penstock-io/penstock/internal/traffic/plugin"
	"github.com/penstock-io/penstock/internal/traffic/routertest"
)

// proxy is the admin interface of an edge whose sites are objects of a cluster.
type proxy struct {
	reader client.Reader
	writer client.Client
	// serving is the version that all proxies have taken up, if that is known.
	serving string
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u := &unstructured.Unstructured{}
	u.SetAPIVersion("edge.shop/v1")
	u.SetKind("Site")
	err := p.reader.Get(r.Context(), types.NamespacedName{Namespace: "shop", Name: strings.TrimPrefix(r.URL.Path, "/sites/")}, u)
	if err == nil && r.Method == http.MethodPut {
		document := map[string]any{}
		if err := json.NewDecoder(r.Body).Decode(&document); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		u = u.DeepCopy()
		u.Object["document"] = document
		u.SetResourceVersion(r.Header.Get("If-Match"))
		err = p.writer.Update(r.Context(), u)
	}
	switch {
	case apierrors.IsNotFound(err):
		http.Error(w, err.Error(), http.StatusNotFound)
	case apierrors.IsConflict(err):
		http.Error(w, err.Error(), http.StatusPreconditionFailed)
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	default:
		w.Header().Set("ETag", u.GetResourceVersion())
		w.Header().Set("X-Serving", p.serving)
		json.NewEncoder(w).Encode(u.Object["document"]) //nolint:errcheck // whoever asked sees it
	}
}

// at is the router with the edge of one world.
type at struct {
	traffic.Router
	admin string
}

func (a at) target(t traffic.Target) traffic.Target {
	routing := *t.Routing
	routing.Plugins = map[string]json.RawMessage{"shop/edge": json.RawMessage(fmt.Sprintf(`{"admin":%q,"site":"storefront"}`, a.admin))}
	t.Routing = &routing
	return t
}

func (a at) Observe(ctx context.Context, t traffic.Target) (traffic.Observation, error) {
	return a.Router.Observe(ctx, a.target(t))
}

func (a at) Apply(ctx context.Context, t traffic.Target, s traffic.Split) (traffic.Written, error) {
	return a.Router.Apply(ctx, a.target(t), s)
}

const document = `
apiVersion: edge.shop/v1
kind: Site
metadata: {namespace: shop, name: storefront, labels: {team: web}}
document:
  tls: {minimum: "1.2"}
  origins:
  - {name: storefront-canary, weight: 0, timeout: 3s, retries: [1, 2.5]}
  - {name: storefront, weight: 100}
  cache: {seconds: 0, paths: []}
`

// origins changes the origins of a site.
func origins(u *unstructured.Unstructured, change func(list []any) []any) {
	site := u.Object["document"].(map[string]any)
	site["origins"] = change(site["origins"].([]any))
}

func target() traffic.Target {
	return traffic.Target{Namespace: "shop", Name: "storefront", UID: "uid", StableService: "storefront", CanaryService: "storefront-canary",
		Routing: &v1alpha1.RolloutTrafficRouting{}}
}

// TestTheRouterContract is what built-in routers pass too, with the program between.
func TestTheRouterContract(t *testing.T) {
	path, sum := program(t, "traffic")
	router := trafficplugin.New(trafficplugin.Options{Plugins: host(t, plugin.Router, entry("shop/edge", "file://"+path, sum))})
	routertest.Run(t, routertest.Fixture{
		New: func(reader client.Reader, writer client.Client) traffic.Router {
			server := httptest.NewServer(&proxy{reader: reader, writer: writer})
			t.Cleanup(server.Close)
			return at{router, server.URL}
		},
		Target: target(), Objects: []*unstructured.Unstructured{routertest.Object(t, document)}, Remote: true, Extras: true,
		Mask: func(u *unstructured.Unstructured) {
			origins(u, func(list []any) []any {
				list = slices.DeleteFunc(list, func(o any) bool {
					return slices.Contains(routertest.ExtraServices, o.(map[string]any)["name"].(string))
				})
				for _, o := range list {
					delete(o.(map[string]any), "weight")
				}
				return list
			})
		},
		Drift: func(u *unstructured.Unstructured) {
			origins(u, func(list []any) []any {
				for _, o := range list {
					o.(map[string]any)["weight"] = map[any]any{"storefront": int64(100)}[o.(map[string]any)["name"]]
				}
				return list
			})
		},
	})
}

func TestTheEdgeTellsWhatItsProxiesServe(t *testing.T) {
	path, sum := program(t, "traffic")
	var woken []time.Duration
	router := trafficplugin.New(trafficplugin.Options{Plugins: host(t, plugin.Router, entry("shop/edge", "file://"+path, sum)),
		Wake: func(_ types.NamespacedName, after time.Duration) { woken = append(woken, after) }})
	etag, serving, site := "1", "1", `{"origins":[{"name":"storefront","weight":100},{"name":"storefront-canary","weight":0}]}`
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ETag", etag)
		w.Header().Set("X-Serving", serving)
		fmt.Fprint(w, site)
	})
	ro := manifest[v1alpha1.Rollout](t, "traffic/rollout.yaml")
	goal := target()
	goal.Routing, goal.Rollout = ro.Spec.Strategy.Canary.TrafficRouting, ro
	look := func() traffic.Observation {
		t.Helper()
		config := strings.ReplaceAll(string(ro.Spec.Strategy.Canary.TrafficRouting.Plugins["shop/edge"]), "http://edge-admin", url)
		goal.Routing.Plugins = map[string]json.RawMessage{"shop/edge": json.RawMessage(config)}
		o, err := router.Observe(t.Context(), goal)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	if o := look(); !o.Confirmed || o.Written.Weight(traffic.Stable) != 100 {
		t.Errorf("all serve it: %+v", o)
	}
	etag = "2"
	if o := look(); o.Confirmed || o.Settle < time.Hour {
		t.Errorf("not all serve it: %+v", o)
	}
	etag, serving = "", ""
	if o := look(); o.Confirmed || o.Settle != 2*time.Second {
		t.Errorf("nobody knows: %+v", o)
	}
	site = `{"origins":[{"name":"storefront","weight":100}]}`
	if o := look(); o.Problem != "spec.strategy.canary.trafficRouting.plugins[shop/edge]: site storefront has no origin storefront-canary: add it to the site" {
		t.Errorf("an origin is missing: %+v", o)
	}
	if len(woken) == 0 {
		t.Error("nobody looks again")
	}
	headers := traffic.Two(100, 10, traffic.Destination{Service: "storefront"}, traffic.Destination{Service: "storefront-canary"})
	headers.Headers = []v1alpha1.SetHeaderRoute{{Name: "beta", Match: []v1alpha1.HeaderRoutingMatch{{HeaderName: "x", HeaderValue: &v1alpha1.StringMatch{Exact: "1"}}}}}
	goal.Routing.ManagedRoutes = []v1alpha1.MangedRoutes{{Name: "beta"}}
	if _, err := router.Apply(t.Context(), goal, headers); err == nil || err.Error() != "route shop/storefront: plugin shop/edge: the edge has no header routes and no mirrors: leave out setHeaderRoute and setMirrorRoute" {
		t.Errorf("got %v", err)
	}
	goal.Routing.Plugins["shop/edge"] = json.RawMessage(`{"admin":"x"}`)
	if _, err := router.Observe(t.Context(), goal); err == nil || !strings.Contains(err.Error(), `plugin shop/edge: the configuration cannot be used: spec.strategy.canary.trafficRouting.plugins[shop/edge].admin: want http://… or https://…, got "x"`) {
		t.Errorf("got %v", err)
	}
}
