package app

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// emptyCluster serves the kinds that the controller needs, and no object of any.
func emptyCluster(t *testing.T) *rest.Config {
	t.Helper()
	log.SetLogger(logr.Discard())
	kinds := map[string][]metav1.APIResource{
		"/api/v1":                      {resource("services", "Service"), resource("pods", "Pod")},
		"/apis/apps/v1":                {resource("replicasets", "ReplicaSet")},
		"/apis/coordination.k8s.io/v1": {resource("leases", "Lease")},
		"/apis/argoproj.io/v1alpha1":   {resource("rollouts", "Rollout"), resource("experiments", "Experiment"), resource("analysisruns", "AnalysisRun"), resource("analysistemplates", "AnalysisTemplate"), {Name: "clusteranalysistemplates", Kind: "ClusterAnalysisTemplate", Verbs: verbs}},
	}
	answer := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(v); err != nil {
			t.Error(err)
		}
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.TrimSuffix(r.URL.Path, "/")
		if list, ok := kinds[path]; ok {
			gv := strings.TrimPrefix(strings.TrimPrefix(path, "/apis/"), "/api/")
			answer(w, metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList"}, GroupVersion: gv, APIResources: list})
			return
		}
		switch {
		case path == "/api":
			answer(w, metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"}})
		case path == "/apis":
			answer(w, groups(kinds))
		case r.URL.Query().Get("watch") != "":
			if r.URL.Query().Get("sendInitialEvents") == "true" {
				http.Error(w, "no streaming lists", http.StatusUnprocessableEntity)
				return
			}
			w.WriteHeader(http.StatusOK)
			<-r.Context().Done()
		default:
			answer(w, map[string]any{"kind": "List", "apiVersion": "v1", "metadata": map[string]any{"resourceVersion": "1"}, "items": []any{}})
		}
	}))
	t.Cleanup(s.CloseClientConnections)
	return &rest.Config{Host: s.URL}
}

var verbs = metav1.Verbs{"get", "list", "watch"}

func resource(name, kind string) metav1.APIResource {
	return metav1.APIResource{Name: name, Kind: kind, Namespaced: true, Verbs: verbs}
}

func groups(kinds map[string][]metav1.APIResource) metav1.APIGroupList {
	list := metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList"}}
	for path := range kinds {
		group, version, ok := strings.Cut(strings.TrimPrefix(path, "/apis/"), "/")
		if !ok || strings.HasPrefix(path, "/api/") {
			continue
		}
		v := metav1.GroupVersionForDiscovery{GroupVersion: group + "/" + version, Version: version}
		list.Groups = append(list.Groups, metav1.APIGroup{Name: group, Versions: []metav1.GroupVersionForDiscovery{v}, PreferredVersion: v})
	}
	return list
}

func TestSeveralControllersRunInOneProcess(t *testing.T) {
	config := emptyCluster(t)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	for range 2 {
		a, err := New(Options{RESTConfig: config, MetricsAddress: "0", HealthAddress: "0"})
		if err != nil {
			t.Fatal(err)
		}
		go func() { ended <- a.Run(ctx) }()
		select {
		case <-a.Elected():
		case <-time.After(20 * time.Second):
			t.Fatal("the controller does not start")
		}
	}
	stop()
	for range 2 {
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("the controller does not stop")
		}
	}
}

func TestOptionsMustNameACluster(t *testing.T) {
	if _, err := New(Options{}); err == nil || !strings.Contains(err.Error(), "RESTConfig") {
		t.Errorf("got %v", err)
	}
}

func TestLeaseIsNamedForTheInstance(t *testing.T) {
	if got := (Options{InstanceID: "b"}).lease(); got != "argo-rollouts-controller-lock-b" {
		t.Error(got)
	}
	if got := (Options{}).lease(); got != "argo-rollouts-controller-lock" {
		t.Error(got)
	}
}

func TestVersionsOfTargetGroupBinding(t *testing.T) {
	for version, want := range map[string]string{
		"": "elbv2.k8s.aws/v1beta1", "elbv2.k8s.aws/v1": "elbv2.k8s.aws/v1", "v1": "", "a/b/c": "", "elbv2.k8s.aws/": "",
	} {
		got, err := binding(version)
		if (err != nil) != (want == "") || err == nil && got.GroupVersion().String() != want {
			t.Errorf("%q: %v %v", version, got, err)
		}
	}
}

// Covers: traffic defect 38.
func TestTablesAreUnambiguous(t *testing.T) {
	istio := &v1alpha1.RolloutTrafficRouting{Istio: &v1alpha1.IstioTrafficRouting{}}
	gateway := &v1alpha1.RolloutTrafficRouting{Plugins: map[string]json.RawMessage{"argoproj-labs/gatewayAPI": json.RawMessage(`{}`)}}
	for _, c := range []struct {
		section *v1alpha1.RolloutTrafficRouting
		want    string
	}{{istio, "istio"}, {&v1alpha1.RolloutTrafficRouting{Istio: istio.Istio, Plugins: gateway.Plugins}, "istio gatewayapi"}, {gateway, "gatewayapi"}, {&v1alpha1.RolloutTrafficRouting{Traefik: &v1alpha1.TraefikTrafficRouting{}}, "traefik"},
		{&v1alpha1.RolloutTrafficRouting{Ambassador: &v1alpha1.AmbassadorTrafficRouting{}}, "ambassador"},
		{&v1alpha1.RolloutTrafficRouting{AppMesh: &v1alpha1.AppMeshTrafficRouting{}}, "appmesh"},
		{&v1alpha1.RolloutTrafficRouting{ALB: &v1alpha1.ALBTrafficRouting{}}, "alb"},
		{&v1alpha1.RolloutTrafficRouting{Apisix: &v1alpha1.ApisixTrafficRouting{}}, "apisix"},
		{&v1alpha1.RolloutTrafficRouting{Nginx: &v1alpha1.NginxTrafficRouting{}}, "nginx"},
		{&v1alpha1.RolloutTrafficRouting{SMI: &v1alpha1.SMITrafficRouting{}}, "smi"}, {&v1alpha1.RolloutTrafficRouting{}, ""}, {nil, ""}} {
		var used []string
		for _, r := range Routers(nil, nil, RouterOptions{}) {
			if r.Uses(c.section) {
				used = append(used, r.Name)
			}
			if r.Kinds == nil || r.Objects == nil {
				t.Errorf("router %s watches nothing", r.Name)
			}
		}
		if got := strings.Join(used, " "); got != c.want {
			t.Errorf("section %+v is for %q, want %q", c.section, got, c.want)
		}
	}
	verifier := Options{VerifyTargetGroups: true}.withDefaults().verifier
	defer verifier.Close()
	for _, r := range Routers(nil, nil, RouterOptions{ALBVerifier: verifier}) {
		if r.Name == "alb" && !r.Verifies {
			t.Error("with --aws-verify-target-group the router of AWS does not vouch for anything")
		}
	}
	pick := func(p v1alpha1.MetricProvider) (names []string) {
		for _, m := range Providers(Sources{}) {
			if m.Uses(&p) {
				names = append(names, m.Name)
			}
		}
		return names
	}
	for name, p := range map[string]v1alpha1.MetricProvider{
		"web": {Web: &v1alpha1.WebMetric{}}, "prometheus": {Prometheus: &v1alpha1.PrometheusMetric{}},
		"datadog": {Datadog: &v1alpha1.DatadogMetric{}}, "newRelic": {NewRelic: &v1alpha1.NewRelicMetric{}},
		"wavefront": {Wavefront: &v1alpha1.WavefrontMetric{}}, "kayenta": {Kayenta: &v1alpha1.KayentaMetric{}},
		"influxdb": {Influxdb: &v1alpha1.InfluxdbMetric{}}, "job": {Job: &v1alpha1.JobMetric{}}, "graphite": {Graphite: &v1alpha1.GraphiteMetric{}}, "skywalking": {SkyWalking: &v1alpha1.SkyWalkingMetric{}},
	} {
		if got := pick(p); len(got) != 1 || got[0] != name {
			t.Errorf("%s: %v", name, got)
		}
	}
}
