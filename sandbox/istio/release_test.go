package istio

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// What Istio makes of the steps. The route docs is the user's, and no part of the release.
var (
	docs        = "path=/docs* → outbound|80||web 100"
	stableAlone = []string{docs, "any → STABLE 100"}
	testers     = []string{"x-tester=yes → CANARY 100", "user-agent~.*bot.* → CANARY 100", "x-team=shop-* → CANARY 100"}
	tenth       = "any → STABLE 90 CANARY 10"
	half        = "any → STABLE 50 CANARY 50"
	shadowTenth = ":method=GET path=/api* → STABLE 90 CANARY 10 mirror CANARY 25%"
	shadowHalf  = ":method=GET path=/api* → STABLE 50 CANARY 50 mirror CANARY 25%"
)

// stage is a moment of a release at which everything is compared.
type stage struct {
	name           string
	act            func(ctx context.Context, r *release) error // what a person does first
	reached        func(state) bool
	lines          []string
	stable, canary string // the versions whose ready pods stand behind the two
}

var stages = []stage{
	{"the first version", nil, healthy, stableAlone, "v1", "v1"},
	{"v2 at setWeight 10", image("v2"), paused(1), []string{docs, tenth}, "v1", "v2"},
	{"v2 at setHeaderRoute", resume, paused(3), slices.Concat(testers, []string{docs, tenth}), "v1", "v2"},
	{"v2 at setMirrorRoute", resume, paused(5), slices.Concat(testers, []string{shadowTenth, docs, tenth}), "v1", "v2"},
	{"v2 at setWeight 50", resume, paused(7), slices.Concat(testers, []string{shadowHalf, docs, half}), "v1", "v2"},
	{"v2 without the header route", resume, paused(9), []string{shadowHalf, docs, half}, "v1", "v2"},
	{"v2 promoted", resume, healthy, stableAlone, "v2", "v2"},
	{"v3 at setWeight 10", image("v3"), paused(1), []string{docs, tenth}, "v2", "v3"},
	{"v3 at setHeaderRoute", resume, paused(3), slices.Concat(testers, []string{docs, tenth}), "v2", "v3"},
	{"v3 at setMirrorRoute", resume, paused(5), slices.Concat(testers, []string{shadowTenth, docs, tenth}), "v2", "v3"},
	{"v3 aborted", abort, aborted, stableAlone, "v2", "v2"},
	{"v3 once more at setWeight 10", retry, paused(1), []string{docs, tenth}, "v2", "v3"},
	{"v3 promoted in full", promote, healthy, stableAlone, "v3", "v3"},
}

// Istio programs at every stage exactly the routes that the step means, and behind each
// cluster stand exactly the ready pods of its revision. In between, no route ever leads to a
// cluster without endpoints.
func TestIstioProgramsWhatTheStepsMean(t *testing.T) {
	for name, l := range levels {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := begin(t, l, name, rolloutOf(l, onePort, everyStep))
			for i, s := range stages {
				if s.act != nil {
					if err := s.act(t.Context(), r); err != nil {
						t.Fatalf("%s: %v", s.name, err)
					}
				}
				r.reaches(t, s.name, s.reached)
				r.shows(t, s.name, s.lines, map[string]func(*corev1.Pod) bool{l.stable: ofVersion(s.stable), l.canary: ofVersion(s.canary)})
				r.isValid(t, s.name)
				if i == 0 {
					defer r.neverEmpty(t)()
				}
			}
		})
	}
}

// release is one Rollout in a namespace of its own.
type release struct {
	level
	namespace, domain string
}

func begin(t *testing.T, l level, name, rollout string) *release {
	t.Helper()
	ctx := t.Context()
	namespace := "istio-" + name
	r := &release{level: l, namespace: namespace, domain: "." + namespace + ".svc.cluster.local"}
	err := shared.apply(ctx, "", "{apiVersion: v1, kind: Namespace, metadata: {name: "+namespace+"}}")
	if err == nil {
		err = poll(20*time.Second, func() error {
			_, err := shared.kubernetes.CoreV1().ServiceAccounts(namespace).Get(ctx, "default", metav1.GetOptions{})
			return err
		})
	}
	if err == nil {
		err = shared.apply(ctx, namespace, rollout+service+l.manifests)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *release) host() string { return "web" + r.domain }

// reaches waits until the Rollout is in a state.
func (r *release) reaches(t *testing.T, name string, ok func(state) bool) {
	t.Helper()
	err := poll(time.Minute, func() error {
		got, err := shared.rollout(t.Context(), r.namespace, "web")
		if err == nil && !ok(got) {
			err = fmt.Errorf("the rollout is %v", got)
		}
		return err
	})
	if err != nil {
		t.Fatalf("%s is not reached: %v\n%s", name, err, r.programmed())
	}
}

// shows compares what Istio has programmed: the lines of the routes, and the pods behind the
// clusters.
func (r *release) shows(t *testing.T, name string, routes []string, behind map[string]func(*corev1.Pod) bool) {
	t.Helper()
	names := strings.NewReplacer("STABLE", r.stable, "CANARY", r.canary)
	var want []string
	for _, line := range routes {
		want = append(want, names.Replace(line))
	}
	err := poll(30*time.Second, func() error {
		pods := map[string][]string{}
		for cluster, of := range behind {
			list, err := shared.ready(t.Context(), r.namespace, of)
			if err == nil && len(list) == 0 {
				err = fmt.Errorf("no pod for %s is ready", cluster)
			}
			if err != nil {
				return err
			}
			pods[cluster] = list
		}
		return proxy.look(func(w world) error {
			v, err := w.virtualHost(r.host())
			if err != nil {
				return err
			}
			if got := lines(v, r.domain); !slices.Equal(got, want) {
				return fmt.Errorf("the routes are not\n  %s", strings.Join(want, "\n  "))
			}
			for cluster, list := range pods {
				if got := w.addresses(cluster + r.domain); !slices.Equal(got, list) {
					return fmt.Errorf("behind %s stand %v, but the ready pods of its revision are %v", cluster, got, list)
				}
			}
			return nil
		})
	})
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, r.programmed())
	}
	t.Logf("%s:\n%s", name, r.programmed())
}

// programmed tells everything that Istio has programmed for the host.
func (r *release) programmed() string {
	var b strings.Builder
	b.WriteString("Istio has programmed\n")
	err := proxy.look(func(w world) error {
		v, err := w.virtualHost(r.host())
		if err != nil {
			return err
		}
		for _, line := range lines(v, r.domain) {
			fmt.Fprintf(&b, "  %s\n", line)
		}
		for _, name := range slices.Sorted(maps.Keys(w.clusters)) {
			if short, ours := strings.CutSuffix(name, r.domain); ours {
				fmt.Fprintf(&b, "  behind %s stand %v\n", short, w.addresses(name))
			}
		}
		return nil
	})
	if err != nil {
		fmt.Fprintf(&b, "  nothing: %v\n", err)
	}
	return b.String()
}

// neverEmpty looks after every response of Istio, and tells at the end what was seen.
func (r *release) neverEmpty(t *testing.T) (end func()) {
	t.Helper()
	var mu sync.Mutex
	looks, seen := 0, map[string]bool{}
	stop := proxy.always(func(w world) {
		mu.Lock()
		defer mu.Unlock()
		looks++
		v, err := w.virtualHost(r.host())
		if err != nil {
			seen[err.Error()] = true
			return
		}
		for _, b := range w.breaches(v) {
			seen[strings.ReplaceAll(b+": "+strings.Join(lines(v, r.domain), "; "), r.domain, "")] = true
		}
	})
	return func() {
		stop()
		mu.Lock()
		defer mu.Unlock()
		for _, b := range slices.Sorted(maps.Keys(seen)) {
			t.Errorf("for a moment: %s", b)
		}
		t.Logf("looked after %d responses", looks)
	}
}

func healthy(s state) bool { return s.Phase == "Healthy" && !s.Abort }

func aborted(s state) bool { return s.Phase == "Degraded" && s.Abort }

func paused(step int32) func(state) bool {
	return func(s state) bool {
		return s.Phase == "Paused" && s.CurrentStepIndex != nil && *s.CurrentStepIndex == step && !s.Abort
	}
}

func image(version string) func(context.Context, *release) error {
	return func(ctx context.Context, r *release) error {
		return shared.patch(ctx, r.namespace, "web", types.JSONPatchType,
			`[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"penstock/demo:`+version+`"}]`)
	}
}

// The verbs are the patches of the published plugin.

func resume(ctx context.Context, r *release) error { return verb(ctx, r, `{"pauseConditions":null}`) }

func abort(ctx context.Context, r *release) error { return verb(ctx, r, `{"abort":true}`) }

func retry(ctx context.Context, r *release) error { return verb(ctx, r, `{"abort":false}`) }

func promote(ctx context.Context, r *release) error { return verb(ctx, r, `{"promoteFull":true}`) }

func verb(ctx context.Context, r *release, status string) error {
	return shared.patch(ctx, r.namespace, "web", types.MergePatchType, `{"status":`+status+`}`, "status")
}
