package cli

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

const (
	web   = "PATCH /apis/argoproj.io/v1alpha1/namespaces/shop/rollouts/web"
	api   = "PATCH /apis/argoproj.io/v1alpha1/namespaces/shop/rollouts/api"
	merge = " application/merge-patch+json "
)

func bySpec(r *v1alpha1.Rollout) { r.Spec.Paused = true }
func blueGreen(r *v1alpha1.Rollout) {
	r.Spec.Strategy = v1alpha1.RolloutStrategy{BlueGreen: &v1alpha1.BlueGreenStrategy{}}
}
func unseen(r *v1alpha1.Rollout) { r.Generation++ }

func TestVerbsSendThePublishedRequestsAndSaySo(t *testing.T) {
	for name, c := range map[string]struct {
		args       string
		rollout    *v1alpha1.Rollout
		statusless bool
		sent       []string
		out        string
	}{
		"abort":           {"abort web", givenRollout(), false, []string{web + "/status" + merge + `{"status":{"abort":true}}`}, "rollout 'web' aborted\n"},
		"retry":           {"retry rollout web", givenRollout(), false, []string{web + "/status" + merge + `{"status":{"abort":false}}`}, "rollout 'web' retried\n"},
		"retry o":         {"retry ro web", givenRollout(), false, []string{web + "/status" + merge + `{"status":{"abort":false}}`}, "rollout 'web' retried\n"},
		"pause":           {"pause web", givenRollout(), false, []string{web + merge + `{"spec":{"paused":true}}`}, "rollout 'web' paused\n"},
		"restart":         {"restart web", givenRollout(), false, []string{web + merge + `{"spec":{"restartAt":"2000-01-01T00:00:00Z"}}`}, "rollout 'web' restarts in 0s\n"},
		"restart later":   {"restart web -i 5m", givenRollout(), false, []string{web + merge + `{"spec":{"restartAt":"2000-01-01T00:05:00Z"}}`}, "rollout 'web' restarts in 5m\n"},
		"restart in 90 s": {"restart web --in 90", givenRollout(), false, []string{web + merge + `{"spec":{"restartAt":"2000-01-01T00:01:30Z"}}`}, "rollout 'web' restarts in 90\n"},
		"retry an experiment": {"retry exp trial", givenRollout(), false, []string{"PATCH /apis/argoproj.io/v1alpha1/namespaces/shop/experiments/trial" + merge + `{"status":null}`},
			"experiment 'trial' retried\n"},
		"terminate an experiment": {"terminate experiment trial", givenRollout(), false, []string{"PATCH /apis/argoproj.io/v1alpha1/namespaces/shop/experiments/trial" + merge + `{"spec":{"terminate":true}}`},
			"experiment 'trial' terminated\n"},
		"terminate a run": {"terminate ar check", givenRollout(), false, []string{"PATCH /apis/argoproj.io/v1alpha1/namespaces/shop/analysisruns/check" + merge + `{"spec":{"terminate":true}}`},
			"analysisRun 'check' terminated\n"},
		"several at once": {"abort web api", givenRollout(), false, []string{web + "/status" + merge + `{"status":{"abort":true}}`, api + "/status" + merge + `{"status":{"abort":true}}`},
			"rollout 'web' aborted\nrollout 'api' aborted\n"},
		"abort without a status subresource": {"abort web", givenRollout(), true,
			[]string{web + "/status" + merge + `{"status":{"abort":true}}`, web + merge + `{"status":{"abort":true}}`}, "rollout 'web' aborted\n"},

		"promote": {"promote web", givenRollout(), false, []string{web + "/status" + merge + `{"status":{"pauseConditions":null}}`}, "rollout 'web' promoted\n"},
		"promote both pauses": {"promote web", givenRollout(bySpec), false,
			[]string{web + "/status" + merge + `{"status":{"pauseConditions":null}}`, web + merge + `{"spec":{"paused":false}}`}, "rollout 'web' promoted\n"},
		"promote without a status subresource": {"promote web", givenRollout(bySpec), true,
			[]string{web + "/status" + merge + `{"status":{"pauseConditions":null}}`, web + merge + `{"spec":{"paused":false},"status":{"pauseConditions":null}}`}, "rollout 'web' promoted\n"},
		"promote past a running step": {"promote web", givenRollout(running), false, []string{web + "/status" + merge + `{"status":{"pauseConditions":null,"currentStepIndex":2}}`}, "rollout 'web' promoted\n"},
		"promote fully":               {"promote web --full", givenRollout(), false, []string{web + "/status" + merge + `{"status":{"promoteFull":true}}`}, "rollout 'web' fully promoted\n"},
		"promote what is stable":      {"promote --full web", givenRollout(healthy), false, nil, "rollout 'web' already fully promoted\n"},
		"promote what is stable and paused": {"promote --full web", givenRollout(healthy, bySpec), false, []string{web + merge + `{"spec":{"paused":false}}`},
			"rollout 'web' unpaused; it was already fully promoted\n"},
		"promote blue-green that waits for nothing": {"promote web", givenRollout(running, blueGreen), false, nil, "rollout 'web' has nothing to promote\n"},
		"skip a step":    {"promote web -c", givenRollout(), false, []string{web + "/status" + merge + `{"status":{"currentStepIndex":2}}`}, "rollout 'web' promoted\n"},
		"skip all steps": {"promote web --skip-all-steps", givenRollout(), false, []string{web + "/status" + merge + `{"status":{"currentStepIndex":3}}`}, "rollout 'web' promoted\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, c.rollout, givenRollout(func(r *v1alpha1.Rollout) { r.Name, r.UID = "api", "uid-api" }),
				givenRun("check", "4", v1alpha1.AnalysisPhaseRunning, 0), &v1alpha1.Experiment{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "trial"}})
			s.statusless = c.statusless
			got := s.callWith(t.Context(), Options{Now: func() time.Time { return epoch }}, strings.Fields(c.args)...)
			if diff := cmp.Diff(c.sent, s.seen); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			if got != (outcomes{0, c.out, ""}) {
				t.Errorf("got %+v, want output %q", got, c.out)
			}
		})
	}
}

func TestVerbsThatFailSayWhyAndExitWithOne(t *testing.T) {
	for name, c := range map[string]struct {
		args, out, err string
		mods           []func(*v1alpha1.Rollout)
		sent           int
		code           int // 1 if 0
	}{
		"promote an unknown rollout":    {args: "promote other", err: "Error: rollout.argoproj.io \"other\" not found\n"},
		"abort stops at the first":      {args: "abort web other web", out: "rollout 'web' aborted\n", err: "Error: rollouts.argoproj.io \"other\" not found\n", sent: 3},
		"pause an unknown rollout":      {args: "pause other", err: "Error: rollouts.argoproj.io \"other\" not found\n", sent: 1},
		"restart at no time":            {args: "restart web -i soon", err: "Error: --in: want a time to come, such as 30s, 5m or 1h, got \"soon\"\n"},
		"restart in the past":           {args: "restart web -i=-5m", err: "Error: --in: want a time to come, such as 30s, 5m or 1h, got \"-5m\"\n"},
		"terminate an unknown run":      {args: "terminate ar other", err: "Error: analysisruns.argoproj.io \"other\" not found\nThere are no analysisruns in namespace \"shop\".\n", sent: 1},
		"retry an unknown experiment":   {args: "retry experiment other", err: "Error: experiments.argoproj.io \"other\" not found\nThere are no experiments in namespace \"shop\".\n", sent: 1},
		"skip in two ways":              {args: "promote web -c -a", err: "Error: Cannot use skip-current-step and skip-all-steps flags at the same time\n"},
		"skip in blue-green":            {args: "promote web -a", mods: []func(*v1alpha1.Rollout){blueGreen}, err: "Error: Cannot skip steps of a bluegreen rollout. Run without a flags\n"},
		"promote what nobody has seen":  {args: "promote web --full", mods: []func(*v1alpha1.Rollout){healthy, unseen}, err: "Error: the controller has not yet seen the latest spec, so there is nothing to promote; try again\n"},
		"status of an unknown rollout":  {code: exitNotFound, args: "status other", err: "Error: rollout.argoproj.io \"other\" not found\n"},
		"one status of an unknown":      {code: exitNotFound, args: "status other -w=false", err: "Error: rollout.argoproj.io \"other\" not found\n"},
		"get an unknown rollout":        {args: "get rollout other", err: "Error: rollout.argoproj.io \"other\" not found\n"},
		"get an unknown rollout, watch": {args: "get rollout other -w", err: "Error: rollout.argoproj.io \"other\" not found\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, givenRollout(c.mods...))
			got := s.call(t.Context(), strings.Fields(c.args)...)
			if got != (outcomes{max(c.code, 1), c.out, c.err}) || len(s.seen) != c.sent {
				t.Errorf("got %+v after %d patches, want %q and %q after %d", got, len(s.seen), c.out, c.err, c.sent)
			}
		})
	}
}

func TestARefusedStatusPatchDoesNotFallBack(t *testing.T) {
	s := newServer(t, givenRollout())
	s.deny[web+"/status"] = http.StatusForbidden
	got := s.call(t.Context(), "abort", "web")
	if got.code != 1 || got.out != "" || !strings.Contains(got.err, "Forbidden") || len(s.seen) != 0 {
		t.Errorf("got %+v and %v", got, s.seen)
	}
}
