package cli

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// canaryObjects are the objects of the picture in testdata/canary.txt.
func canaryObjects() (objects []client.Object) {
	w := pictures()["canary"]
	objects = append(objects, &w.rollout)
	for i := range w.replicaSets {
		objects = append(objects, &w.replicaSets[i])
	}
	for i := range w.pods {
		objects = append(objects, &w.pods[i])
	}
	for i := range w.runs {
		objects = append(objects, &w.runs[i])
	}
	return objects
}

func picture(t *testing.T, name string) string {
	t.Helper()
	want, err := os.ReadFile("testdata/" + name + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	return string(want)
}

func TestGetDrawsWhatTheServerHas(t *testing.T) {
	s := newServer(t, canaryObjects()...)
	got := s.callWith(t.Context(), Options{Now: func() time.Time { return epoch }}, "get", "rollout", "web")
	if diff := cmp.Diff(outcomes{0, picture(t, "canary"), ""}, got, cmp.AllowUnexported(outcomes{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	revisions := "?labelSelector=rollouts-pod-template-hash+in+%28gone%2Cnew%2Cold%29"
	want := []string{
		"/api/v1/namespaces/shop/pods?labelSelector=app%3Dweb",
		"/apis/apps/v1/namespaces/shop/replicasets?labelSelector=app%3Dweb",
		"/apis/argoproj.io/v1alpha1/namespaces/shop/analysisruns" + revisions,
		"/apis/argoproj.io/v1alpha1/namespaces/shop/experiments" + revisions,
		"/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts?fieldSelector=metadata.name%3Dweb",
	}
	slices.Sort(s.reads)
	if diff := cmp.Diff(want, slices.Compact(s.reads)); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestGetUsesTheResolvedSelectorOfAReferencedWorkload(t *testing.T) {
	s := newServer(t, givenRollout(func(r *v1alpha1.Rollout) { r.Spec.Selector, r.Status.Selector = nil, "app=web,tier=front" }))
	if got := s.call(t.Context(), "get", "ro", "web"); got.code != 0 {
		t.Errorf("got %+v", got)
	}
	if !slices.Contains(s.reads, "/api/v1/namespaces/shop/pods?labelSelector=app%3Dweb%2Ctier%3Dfront") {
		t.Errorf("it read %v", s.reads)
	}
}

// Whoever may read the rollout alone sees it, and is told what is left out.
func TestGetGoesWithoutWhatItMayNotRead(t *testing.T) {
	s := newServer(t, canaryObjects()...)
	s.deny["GET /api/v1/namespaces/shop/pods"] = http.StatusForbidden
	got := s.callWith(t.Context(), Options{Now: func() time.Time { return epoch }}, "get", "rollout", "web")
	if got.code != 0 || got.err != "Warning: pods are left out: list pods in shop: the server says Forbidden\n" {
		t.Errorf("exit code %d, errors %q", got.code, got.err)
	}
	if !strings.Contains(got.out, "⧉ web-new") || strings.Contains(got.out, "□") {
		t.Errorf("it shows\n%s", got.out)
	}
	s.deny["GET /apis/argoproj.io/v1alpha1/namespaces/shop/rollouts"] = http.StatusForbidden
	want := outcomes{1, "", "Error: list rollouts in shop: the server says Forbidden; ask those who run the cluster for this right, or choose another --context\n"}
	if got := s.call(t.Context(), "get", "rollout", "web"); got != want {
		t.Errorf("got %+v", got)
	}
}

func TestColoursGoToTerminalsOnly(t *testing.T) {
	for name, c := range map[string]struct {
		terminal bool
		env      map[string]string
		args     string
		coloured bool
	}{
		"a pipe":                 {false, nil, "get rollout web", false},
		"a terminal":             {true, map[string]string{"TERM": "xterm"}, "get rollout web", true},
		"a dumb terminal":        {true, map[string]string{"TERM": "dumb"}, "get rollout web", false},
		"a terminal of a person": {true, map[string]string{"NO_COLOR": "1"}, "get rollout web", false},
		"an order":               {true, nil, "get rollout web --no-color", false},
	} {
		o := Options{Terminal: c.terminal, Getenv: func(k string) string { return c.env[k] }}
		got := newServer(t, givenRollout(healthy)).callWith(t.Context(), o, strings.Fields(c.args)...)
		if strings.Contains(got.out, "\x1b") != c.coloured || got.code != 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestAWatchRedrawsOnChangeAndByTheSecond(t *testing.T) {
	stopAfter := func(d time.Duration) script {
		return script{{d, func(_ *apiServer, stop func()) { stop() }}}
	}
	for name, c := range map[string]struct {
		acts     script
		terminal bool
		frames   []string // the phase in each picture
	}{
		"nothing changes":         {stopAfter(time.Second), false, []string{"॥ Paused"}},
		"a change is drawn":       {append(stopAfter(2*time.Second), script{{time.Second, becomes(healthy)}}...), false, []string{"॥ Paused", "✔ Healthy"}},
		"two changes in a moment": {append(stopAfter(2*time.Second), script{{1100 * time.Millisecond, becomes(running)}, {1150 * time.Millisecond, becomes(healthy)}}...), false, []string{"॥ Paused", "✔ Healthy"}},
		"two changes apart":       {append(stopAfter(3*time.Second), script{{1100 * time.Millisecond, becomes(running)}, {2100 * time.Millisecond, becomes(healthy)}}...), true, []string{"॥ Paused", "◌ Progressing", "✔ Healthy"}},
		"a watch is cut":          {append(stopAfter(4*time.Second), script{{time.Second, func(s *apiServer, _ func()) { s.cutWatches(); s.put(givenRollout(healthy)) }}}...), false, []string{"॥ Paused", "✔ Healthy"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				// Ages stand still, so that only changes are drawn.
				o := Options{Terminal: c.terminal, Now: func() time.Time { return epoch }}
				got, _ := play(t, newServer(t, canaryObjects()...), o, c.acts, "get", "rollout", "web", "--watch", "--no-color")
				separator := "\nName:"
				if c.terminal {
					separator = clear + "Name:"
				}
				frames := strings.Split("\n"+got.out, separator)
				if c.terminal {
					frames = strings.Split(got.out, separator)
				}
				var phases []string
				for _, frame := range frames[1:] {
					_, after, _ := strings.Cut(frame, "Status:          ")
					phase, _, _ := strings.Cut(after, "\n")
					phases = append(phases, phase)
				}
				if diff := cmp.Diff(c.frames, phases); diff != "" || got.code != 0 || got.err != "" {
					t.Errorf("exit code %d, errors %q, frames (-want +got):\n%s", got.code, got.err, diff)
				}
			})
		})
	}
}

func TestAWatchFollowsThePodsToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got, _ := play(t, newServer(t, canaryObjects()...), Options{}, script{
			{time.Second, func(s *apiServer, _ func()) { s.remove("/pods/web-old-9wq7p") }},
			{2 * time.Second, func(s *apiServer, _ func()) { s.put(givenPod("web-new", "fresh", 0)) }},
			{3 * time.Second, func(s *apiServer, _ func()) {
				s.put(givenPod("web-new", "fresh", 0, func(p *corev1.Pod) { p.Status.ContainerStatuses[0].Ready = false }))
			}},
			{4 * time.Second, func(_ *apiServer, stop func()) { stop() }},
		}, "get", "rollout", "web", "-w")
		_, last, _ := strings.Cut(got.out[strings.LastIndex(got.out, "Name:  "):], "NAME")
		if strings.Contains(last, "9wq7p") || !strings.Contains(last, "web-new-fresh  Pod          ✔ Running     3s    ready:0/1") || got.code != 0 {
			t.Errorf("the last picture is\n%s\n%+v", last, got.err)
		}
	})
}

func TestAWatchEndsByTimeoutOrWithoutItsRollout(t *testing.T) {
	for name, c := range map[string]struct {
		args string
		acts script
		deny string
		err  string
		took time.Duration
	}{
		"timeout":                  {"get rollout web -w --timeout-seconds 30", nil, "", "Error: the watch of rollout \"web\" ended after its timeout of 30 s\n", 30 * time.Second},
		"the rollout goes":         {"get rollout web -w", script{{time.Minute, func(s *apiServer, _ func()) { s.remove("/rollouts/web") }}}, "", "Error: rollout.argoproj.io \"web\" not found\nThere are no rollouts in namespace \"shop\".\n", time.Minute},
		"runs may not be listed":   {"get rollout web -w", script{{time.Minute, func(_ *apiServer, stop func()) { stop() }}}, "GET /apis/argoproj.io/v1alpha1/namespaces/shop/analysisruns", "Warning: analysisruns are left out: list analysisruns in shop: the server says Forbidden\n", time.Minute},
		"the rollout may not be":   {"get rollout web -w", nil, rollouts, "Error: list rollouts in shop: the server says Forbidden; ask those who run the cluster for this right, or choose another --context\n", 0},
		"interrupted is no mishap": {"get rollout web -w", script{{time.Minute, func(_ *apiServer, stop func()) { stop() }}}, "", "", time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, canaryObjects()...)
				s.deny = map[string]int{c.deny: http.StatusForbidden}
				got, took := play(t, s, Options{}, c.acts, strings.Fields(c.args)...)
				if got.err != c.err || took != c.took || (got.code == 0) == strings.HasPrefix(c.err, "Error") {
					t.Errorf("exit code %d, errors %q after %s, want %q after %s", got.code, got.err, took, c.err, c.took)
				}
			})
		})
	}
}
