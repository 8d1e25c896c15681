package cli

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

func named(name, namespace string) func(*v1alpha1.Rollout) {
	return func(r *v1alpha1.Rollout) {
		r.Name, r.Namespace, r.UID = name, namespace, types.UID("uid-"+namespace+"-"+name)
		r.Labels = map[string]string{"team": name}
	}
}

// someRollouts are three, in two namespaces.
func someRollouts() []client.Object {
	return []client.Object{givenRollout(), givenRollout(healthy, blueGreen, named("api", "shop")), givenRollout(degraded, named("a-rollout-with-a-long-name", "bank"))}
}

func TestListsAreAsPublished(t *testing.T) {
	for name, c := range map[string]struct {
		args string
		want []string
	}{
		"rollouts": {"list rollouts", []string{
			"NAME        STRATEGY   STATUS        STEP  SET-WEIGHT  READY  DESIRED  UP-TO-DATE  AVAILABLE",
			"api         BlueGreen  Healthy       -     -           5/5    4        1           5",
			"web         Canary     Paused        1/3   25          5/5    4        1           5"}},
		"one name": {"list ro --name web", []string{
			"NAME        STRATEGY   STATUS        STEP  SET-WEIGHT  READY  DESIRED  UP-TO-DATE  AVAILABLE",
			"web         Canary     Paused        1/3   25          5/5    4        1           5"}},
		"by label": {"list rollouts -l team=api", []string{
			"NAME        STRATEGY   STATUS        STEP  SET-WEIGHT  READY  DESIRED  UP-TO-DATE  AVAILABLE",
			"api         BlueGreen  Healthy       -     -           5/5    4        1           5"}},
		"everywhere, with the time": {"list rollouts -A --timestamps", []string{
			"TIMESTAMP             NAMESPACE  NAME                        STRATEGY   STATUS        STEP  SET-WEIGHT  READY  DESIRED  UP-TO-DATE  AVAILABLE",
			"2000-01-01T00:00:00Z  bank       a-rollout-with-a-long-name  Canary     Degraded      1/3   0           5/5    4        1           5",
			"2000-01-01T00:00:00Z  shop       api                         BlueGreen  Healthy       -     -           5/5    4        1           5",
			"2000-01-01T00:00:00Z  shop       web                         Canary     Paused        1/3   25          5/5    4        1           5"}},
		"wide": {"list rollouts --name=web -o wide", []string{
			"NAME        STRATEGY   STATUS        STEP  SET-WEIGHT  READY  DESIRED  UP-TO-DATE  AVAILABLE  AGE   IMAGES  MESSAGE",
			"web         Canary     Paused        1/3   25          5/5    4        1           5          12d   -       CanaryPauseStep"}},
		"names":       {"list rollouts -A -o name", []string{"rollout.argoproj.io/a-rollout-with-a-long-name", "rollout.argoproj.io/api", "rollout.argoproj.io/web"}},
		"a path":      {"list rollouts -o jsonpath={.items[*].status.phase}", []string{"Healthy Paused"}},
		"experiments": {"list experiments", []string{"NAME        STATUS        DURATION  REMAINING  AGE", "web-trial   Running       5m        4m30s      60s"}},
		"wide experiments": {"list exp -o wide", []string{
			"NAME        STATUS        DURATION  REMAINING  AGE   TEMPLATES  MESSAGE",
			"web-trial   Running       5m        4m30s      60s   baseline   -"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, append(someRollouts(), givenExperiment())...)
			got := s.callWith(t.Context(), Options{Now: func() time.Time { return epoch }}, strings.Fields(c.args)...)
			if diff := cmp.Diff(c.want, strings.Split(strings.TrimSuffix(got.out, "\n"), "\n")); diff != "" || got.code != 0 || got.err != "" {
				t.Errorf("exit code %d, errors %q, (-want +got):\n%s", got.code, got.err, diff)
			}
		})
	}
}

func TestAnEmptyListIsNoError(t *testing.T) {
	for _, args := range []string{"list rollouts", "list experiments", "list rollouts -l team=none", "get rollout -l team=none"} {
		got := newServer(t).call(t.Context(), strings.Fields(args)...)
		if want := (outcomes{0, "", "No resources found.\n"}); got != want {
			t.Errorf("%s: %+v", args, got)
		}
	}
}

func TestAListSaysWhatItCannotDo(t *testing.T) {
	for args, want := range map[string]string{
		"list rollouts":              "Error: list rollouts in shop: the server says Forbidden; ask those who run the cluster",
		"list rollouts -l =":         "Error: --selector: ",
		"list rollouts -o table":     `Error: unable to match a printer suitable for the output format "table"`,
		"list rollouts web":          "Error: accepts 0 arg(s), received 1",
		"get rollout -l team=a -w":   "Error: --watch follows one object: name it, or use list",
		"get rollout web -o picture": `Error: unable to match a printer suitable for the output format "picture"`,
	} {
		s := newServer(t, someRollouts()...)
		s.deny[rollouts] = http.StatusForbidden
		if got := s.call(t.Context(), strings.Fields(args)...); got.code != 1 || got.out != "" || !strings.HasPrefix(got.err, want) {
			t.Errorf("%s: %+v", args, got)
		}
	}
}

// A watch goes on with a line for each row that changed, and says what has gone.
func TestAListWatchPrintsWhatChanges(t *testing.T) {
	acts := script{
		{time.Second, becomes(running)},
		{2 * time.Second, becomes(running, func(r *v1alpha1.Rollout) { r.Annotations = map[string]string{"nobody": "cares"} })},
		{3 * time.Second, becomes(healthy)},
		{4 * time.Second, func(s *apiServer, _ func()) { s.cutWatches(); s.put(givenRollout(degraded)) }},
		{6 * time.Second, func(s *apiServer, _ func()) { s.remove("/rollouts/web") }},
		{7 * time.Second, func(_ *apiServer, stop func()) { stop() }},
	}
	synctest.Test(t, func(t *testing.T) {
		got, _ := play(t, newServer(t, givenRollout()), Options{}, acts, "list", "rollouts", "-w", "--timestamps")
		want := strings.Join([]string{
			"TIMESTAMP             NAME        STRATEGY   STATUS        STEP  SET-WEIGHT  READY  DESIRED  UP-TO-DATE  AVAILABLE",
			"2000-01-01T00:00:00Z  web         Canary     Paused        1/3   25          5/5    4        1           5",
			"2000-01-01T00:00:01Z  web         Canary     Progressing   1/3   25          5/5    4        1           5",
			"2000-01-01T00:00:03Z  web         Canary     Healthy       1/3   25          5/5    4        1           5",
			"2000-01-01T00:00:05Z  web         Canary     Degraded      1/3   0           5/5    4        1           5",
			"2000-01-01T00:00:06Z  web         -          Deleted       -     -           -      -        -           -", ""}, "\n")
		if diff := cmp.Diff(outcomes{0, want, ""}, got, cmp.AllowUnexported(outcomes{})); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		got, _ := play(t, newServer(t, givenRollout()), Options{}, acts, "list", "rollouts", "-w", "-o", "jsonpath={.status.phase} ")
		mustEqual(t, "phases", got.out, "Paused Progressing Progressing Healthy Degraded ")
	})
}

// What programs read has every field, also those that nobody here knows.
func TestGetPrintsWholeObjects(t *testing.T) {
	s := newServer(t, givenRollout())
	for _, u := range s.objects {
		u.Object["spec"].(map[string]any)["novelty"] = "x"
	}
	got := s.call(t.Context(), "get", "rollout", "web", "-o", "json")
	var o map[string]any
	if err := json.Unmarshal([]byte(got.out), &o); err != nil || o["kind"] != "Rollout" || o["apiVersion"] != "argoproj.io/v1alpha1" || o["spec"].(map[string]any)["novelty"] != "x" {
		t.Errorf("%v: %+v", err, got)
	}
	if got := s.call(t.Context(), "get", "rollout", "web", "-o", "yaml"); got.code != 0 || !strings.Contains(got.out, "\n  novelty: x\n") {
		t.Errorf("%+v", got)
	}
	mustEqual(t, "a name", s.call(t.Context(), "get", "ro", "web", "-o", "name").out, "rollout.argoproj.io/web\n")
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, givenRollout())
		got, _ := play(t, s, Options{}, script{{time.Second, becomes(healthy)}, {2 * time.Second, func(s *apiServer, _ func()) { s.remove("/rollouts/web") }}},
			"get", "rollout", "web", "-w", "-o", "jsonpath={.status.phase} ")
		if got.out != "Paused Healthy " || got.code != 1 {
			t.Errorf("%+v", got)
		}
	})
}

func TestGetShowsAllThatALabelSelects(t *testing.T) {
	s := newServer(t, someRollouts()...)
	got := s.call(t.Context(), "get", "rollouts", "-A", "-l", "team")
	first, second := strings.Index(got.out, "a-rollout-with-a-long-name\nNamespace:       bank"), strings.Index(got.out, "\n\nName:            api\nNamespace:       shop")
	if got.code != 0 || first < 0 || second < first || strings.Contains(got.out, "Name:            web") {
		t.Errorf("%+v", got)
	}
}
