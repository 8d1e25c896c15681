package mesh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/penstock-io/penstock/sandbox/workload"
)

func foreignParent() gatewayv1.RouteParentStatus {
	return gatewayv1.RouteParentStatus{ControllerName: "other.example/controller", ParentRef: gatewayv1.ParentReference{Name: "gw"}}
}

// data is a running gateway whose pods are listeners of the test.
type data struct {
	*Gateway
	t      *testing.T
	source *memorySource
	client *http.Client

	mu    sync.Mutex
	addrs map[string]string // "ip:port" → loopback
}

func newData(t *testing.T) *data {
	t.Helper()
	d := &data{t: t, source: newMemorySource(), addrs: map[string]string{}, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}}}
	var err error
	d.Gateway, err = New(Options{Source: d.source, Addr: func(ip string, port int32) (string, bool) {
		d.mu.Lock()
		defer d.mu.Unlock()
		addr, ok := d.addrs[fmt.Sprintf("%s:%d", ip, port)]
		return addr, ok
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	t.Cleanup(func() {
		d.client.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
	return d
}

func (d *data) listen(pod, addr string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.addrs["ip-"+pod+":8080"] = addr
}

// demo starts demo servers for pods; their version is the first letter of the name.
func (d *data) demo(pods ...string) {
	for _, p := range pods {
		s, err := workload.Start(workload.Spec{Service: "web", Version: p[:1], Pod: p})
		if err != nil {
			d.t.Fatal(err)
		}
		d.t.Cleanup(s.Stop)
		d.listen(p, s.Addr())
	}
}

// follow publishes objects and waits until the gateway follows them.
func (d *data) follow(w *world) {
	d.t.Helper()
	before := d.table.Load()
	d.source.set(w.Objects)
	eventually(d.t, "a new table", func() bool { return d.table.Load() != before })
}

func (d *data) get(host string, header ...string) (status int, body string) {
	return d.do("GET", host, nil, header...)
}

func (d *data) do(method, host string, body io.Reader, header ...string) (status int, answer string) {
	r, err := http.NewRequest(method, d.URL()+"/x", body)
	if err != nil {
		panic(err)
	}
	r.Host = host
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	resp, err := d.client.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(raw)
}

func byHash(k Key) string { return k.Hash }

func TestFivePercentIsFivePercent(t *testing.T) {
	d := newData(t)
	d.demo("s1", "s2", "c1")
	w := newWorld(t).apply(hostLevel)
	bothServices(w)
	d.follow(w)
	var clients sync.WaitGroup
	for range 20 {
		clients.Go(func() {
			for range 100 {
				if status, body := d.get("web"); status != 200 {
					t.Errorf("status %d: %s", status, body)
					return
				}
			}
		})
	}
	clients.Wait()
	stats := d.Stats()
	if share := stats.Split("web", byHash)["bbb"]; share < 0.045 || share > 0.055 {
		t.Errorf("the canary got %v of %d requests, want 0.05 within 0.005", share, stats.Total(nil))
	}
	want := Key{Host: "web", Route: "VirtualService shop/web primary", Service: "shop/web-canary", Hash: "bbb", Version: "c", Class: "2xx"}
	if stats[want] != 100 || stats.Total(nil) != 2000 {
		t.Errorf("counts %v, want 100 of 2000 under %+v", stats, want)
	}

	window := d.Stats()
	d.get("web")
	if got := d.Stats().Since(window).Total(nil); got != 1 {
		t.Errorf("%d requests since the window began, want 1", got)
	}
	d.Reset()
	if got := d.Stats(); len(got) != 0 {
		t.Errorf("after Reset: %v", got)
	}
	status, metrics := d.getMetrics()
	if line := `gateway_requests_total{class="2xx",destination="shop/web-canary",host="web",mirror="false",reason="",rollouts_pod_template_hash="bbb",route="VirtualService shop/web primary",subset="",version="c"} 100`; status != 200 || !strings.Contains(metrics, line) {
		t.Errorf("metrics (%d) lack %s:\n%s", status, line, metrics)
	}
}

func (d *data) getMetrics() (int, string) {
	resp, err := d.client.Get(d.URL() + "/metrics")
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}

func TestRefusalsAreCountedWithTheirReason(t *testing.T) {
	d := newData(t)
	if status, body := d.get("web"); status != 503 || !strings.Contains(body, "not_ready") || d.Ready() {
		t.Errorf("before the first table: %d %s", status, body)
	}
	w := newWorld(t).service("empty").service("silent", pod{name: "x1", hash: "h"}).service("closed", pod{name: "x2", hash: "h"}).service("far", pod{name: "x3"})
	d.follow(w)
	closed := httptest.NewServer(nil)
	closed.Close()
	d.listen("x2", strings.TrimPrefix(closed.URL, "http://"))
	d.listen("x3", "192.0.2.1:80") // never dialled: not loopback
	d.Reset()
	for host, want := range map[string]struct {
		status int
		reason Reason
	}{
		"empty":   {503, NoEndpoints},
		"silent":  {503, NoListener},
		"closed":  {503, Unreachable},
		"far":     {503, Unreachable},
		"nowhere": {404, NoRoute},
	} {
		status, body := d.get(host)
		if status != want.status || !strings.Contains(body, string(want.reason)) {
			t.Errorf("%s: %d %s, want %d %s", host, status, body, want.status, want.reason)
		}
		counted := d.Stats().Total(func(k Key) bool {
			return k.Reason == want.reason && k.Class == class(want.status) && (k.Host == host || host == "nowhere" && k.Host == "")
		})
		if counted != 1 {
			t.Errorf("%s: counted %d times in %v", host, counted, d.Stats())
		}
	}
}

func TestMirrorsAreSentWithTheirBodyAndNobodyWaits(t *testing.T) {
	d := newData(t)
	hang := make(chan struct{})
	bodies := make(chan string, 1)
	mirror := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		bodies <- fmt.Sprintf("%s %s %s %s %v", r.Method, r.Host, r.URL.Path, raw, err)
		<-hang
	}))
	defer mirror.Close()
	primary := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
		}
		w.Write(raw)
	}))
	defer primary.Close()
	w := newWorld(t).apply(istioHTTPRoutes("\n- name: m\n  route: [{destination: {host: web-stable}}]\n  mirror: {host: web-canary}")).
		service("web-stable", pod{name: "s1", hash: "aaa", version: "v1"}).service("web-canary", pod{name: "c1", hash: "bbb", version: "v2"})
	d.listen("s1", strings.TrimPrefix(primary.URL, "http://"))
	d.listen("c1", strings.TrimPrefix(mirror.URL, "http://"))
	d.follow(w)
	if status, body := d.do("POST", "web.example", strings.NewReader("hello")); status != 200 || body != "hello" {
		t.Fatalf("primary answered %d %q", status, body)
	}
	if got := <-bodies; got != "POST web.example /x hello <nil>" {
		t.Errorf("mirror got %q", got)
	}
	close(hang)
	mirrored := Key{Host: "web.example", Route: "VirtualService shop/web m", Service: "shop/web-canary", Hash: "bbb", Version: "v2", Class: "2xx", Mirror: true}
	eventually(t, "the mirrored request is counted", func() bool { return d.Stats()[mirrored] == 1 })
	if d := cmp.Diff(map[string]float64{"aaa": 1}, d.Stats().Split("web.example", byHash)); d != "" {
		t.Errorf("mirrors change the split (-want +got):\n%s", d)
	}

	large := strings.Repeat("x", maxShadowBody+1)
	if status, body := d.do("POST", "web.example", strings.NewReader(large)); status != 200 || body != large {
		t.Errorf("a large body: %d, %d bytes back", status, len(body))
	}
	if got := d.Stats().Total(func(k Key) bool { return k.Mirror && k.Reason == MirrorLost }); got != 1 {
		t.Errorf("the mirror of a large body is lost %d times, want 1", got)
	}
}

func TestMirrorsOfADestinationAreSent(t *testing.T) {
	d := newData(t)
	d.demo("s1", "c1")
	d.follow(newWorld(t).apply(ingressRoute(webExample, weightedRef)+traefikService("web", "{mirroring: {name: web-stable, port: 80, mirrors: [{name: web-canary, port: 80, percent: 50}]}}")).
		service("web-stable", pod{name: "s1", hash: "aaa"}).service("web-canary", pod{name: "c1", hash: "bbb"}))
	for range 10 {
		if status, body := d.get("web.example"); status != 200 || !strings.Contains(body, `"s1"`) {
			t.Fatalf("%d %s", status, body)
		}
	}
	eventually(t, "half of the requests are mirrored", func() bool {
		return d.Stats().Total(func(k Key) bool { return k.Mirror && k.Hash == "bbb" && k.Class == "2xx" }) == 5
	})
}

func TestTablesAreSwappedUnderLoad(t *testing.T) {
	d := newData(t)
	d.demo("s1", "s2", "c1")
	stable := strings.NewReplacer("95", "100", "5.0", "0").Replace(hostLevel)
	canary := strings.NewReplacer("95", "0", "5.0", "100").Replace(hostLevel)
	worlds := make([]*world, 2)
	for i, routes := range []string{stable, canary} {
		version := fmt.Sprintf("name: web, resourceVersion: 'v%d'}", i)
		worlds[i] = newWorld(t).apply(strings.Replace(routes, "name: web}", version, 1))
		bothServices(worlds[i])
	}
	d.follow(worlds[0])
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for ctx.Err() == nil {
				if status, body := d.get("web"); status != 200 {
					t.Errorf("status %d: %s", status, body)
					return
				}
				d.Stats()
				d.Applied("web")
			}
		})
	}
	for i := range 100 {
		d.source.set(worlds[i%2].Objects)
		n := d.Stats().Total(nil)
		eventually(t, "requests go on", func() bool { return d.Stats().Total(nil) > n || t.Failed() })
	}
	d.follow(worlds[1])
	eventually(t, "the last change is followed", func() bool {
		_, body := d.get("web")
		return strings.Contains(body, `"c1"`)
	})
	cancel()
	clients.Wait()
}

func TestLagDelaysRoutesButNotEndpoints(t *testing.T) {
	d := newData(t)
	d.demo("s1", "s2", "c1")
	w := newWorld(t).apply(strings.NewReplacer("95", "100", "5.0", "0").Replace(hostLevel))
	bothServices(w)
	d.follow(w)
	d.SetLag(time.Hour)
	next := newWorld(t).apply(strings.NewReplacer("95", "0", "5.0", "100", "name: web}", "name: web, resourceVersion: '200'}").Replace(hostLevel))
	next.service("web-stable", pod{name: "s2", hash: "aaa"}).service("web-canary", pod{name: "c1", hash: "bbb"})
	d.source.set(next.Objects)
	eventually(t, "s1 is out of the endpoints", func() bool {
		_, one := d.get("web")
		_, two := d.get("web")
		return strings.Contains(one, `"s2"`) && strings.Contains(two, `"s2"`)
	})
	if got := d.Applied("web")[0].ResourceVersion; got != "100" {
		t.Errorf("the gateway follows version %s before the lag is over", got)
	}
	d.SetLag(0)
	eventually(t, "the new route is followed", func() bool { return d.Applied("web")[0].ResourceVersion == "200" })
	if _, body := d.get("web"); !strings.Contains(body, `"c1"`) {
		t.Errorf("answer %s, want the canary's", body)
	}
}

func TestStatusOfHTTPRoutesIsWrittenAndRetried(t *testing.T) {
	d := newData(t)
	d.source.nextErr = errors.New("the API server is away")
	w := newWorld(t).apply(httpRoute("\n- backendRefs: [{name: web-stable, port: 80}]")).service("web-stable")
	d.follow(w)
	written := func() []gatewayv1.HTTPRoute {
		d.source.mu.Lock()
		defer d.source.mu.Unlock()
		return d.source.written
	}
	eventually(t, "the status is written", func() bool { return len(written()) > 0 })
	p := written()[0].Status.Parents
	if len(p) != 1 || p[0].ControllerName != ControllerName || p[0].ParentRef.Name != "gw" || p[0].Conditions[0].ObservedGeneration != 3 {
		t.Errorf("status %+v", p)
	}
	eventually(t, "the gateway sees its own status", func() bool { return d.Applied("web.example")[0].ResourceVersion == "100+" })
	d.follow(&world{t: t, Objects: d.source.Objects()})
	if got := len(written()); got != 1 {
		t.Errorf("the status was written %d times, want once", got)
	}
}

func TestNewRefusesWhatItCannotServe(t *testing.T) {
	addr := func(string, int32) (string, bool) { return "", false }
	for why, o := range map[string]Options{
		"are required":   {Addr: addr},
		"Addr and":       {Source: newMemorySource()},
		"not a loopback": {Addr: addr, Source: newMemorySource(), Listen: "0.0.0.0:80"},
		"is not a loop":  {Addr: addr, Source: newMemorySource(), Listen: "127.0.0.1"},
	} {
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("New(%+v) = %v, want an error that says %q", o, err, why)
		}
	}
}
