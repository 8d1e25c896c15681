package cli

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

const rollouts = "GET /apis/argoproj.io/v1alpha1/namespaces/shop/rollouts"

func TestOneStatusIsPrintedAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		mod  func(*v1alpha1.Rollout)
		want outcomes
	}{
		"healthy":     {healthy, outcomes{0, "Healthy\n", ""}},
		"degraded":    {degraded, outcomes{1, "Degraded\n", "Error: The rollout is in a degraded state with message: RolloutAborted: no success\n"}},
		"paused":      {bySpec, outcomes{0, "Paused - CanaryPauseStep\n", ""}},
		"progressing": {running, outcomes{0, "Progressing - more replicas need to be updated\n", ""}},
		"not seen":    {unseen, outcomes{0, "Progressing - waiting for rollout spec update to be observed\n", ""}},
	} {
		s := newServer(t, givenRollout(c.mod))
		if got := s.call(t.Context(), "status", "web", "--watch=false"); got != c.want {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
		if len(s.reads) != 1 || !strings.HasSuffix(s.reads[0], "/namespaces/shop/rollouts/web") {
			t.Errorf("%s: it read %v", name, s.reads)
		}
	}
}

// script changes the world after so much virtual time.
type script []struct {
	after time.Duration
	do    func(s *apiServer, stop func())
}

func becomes(mods ...func(*v1alpha1.Rollout)) func(*apiServer, func()) {
	return func(s *apiServer, _ func()) { s.put(givenRollout(mods...)) }
}

// play runs the plugin in virtual time while the script runs, and tells how long it took.
func play(t *testing.T, s *apiServer, o Options, acts script, args ...string) (got outcomes, took time.Duration) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	start := time.Now()
	for _, act := range acts {
		timer := time.AfterFunc(act.after, func() { act.do(s, cancel) })
		defer timer.Stop()
	}
	got = s.callWith(ctx, o, args...)
	took = time.Since(start)
	cancel()
	synctest.Wait() // for the watches to end
	return got, took
}

func TestAStatusWatchPrintsEveryChangeAndEndsWithAVerdict(t *testing.T) {
	const paused, moving = "Paused - CanaryPauseStep\n", "Progressing - more replicas need to be updated\n"
	degradedError := "Error: The rollout is in a degraded state with message: RolloutAborted: no success\n"
	for name, c := range map[string]struct {
		args string
		acts script
		deny map[string]int
		want outcomes
		took time.Duration
	}{
		"healthy in the end": {"status web", script{{2 * time.Second, becomes(running)}, {3 * time.Second, becomes(healthy)}}, nil,
			outcomes{0, paused + moving + "Healthy\n", ""}, 3 * time.Second},
		"degraded in the end": {"status web", script{{2 * time.Second, becomes(degraded)}}, nil,
			outcomes{1, paused + "Degraded - RolloutAborted: no success\n", degradedError}, 2 * time.Second},
		"the same state twice": {"status web", script{{time.Second, becomes(func(r *v1alpha1.Rollout) { r.Status.Replicas = 9 })}, {2 * time.Second, becomes(healthy)}}, nil,
			outcomes{0, paused + "Healthy\n", ""}, 2 * time.Second},
		"a spec is not yet seen": {"status web", script{{time.Second, becomes(healthy, unseen)}, {2 * time.Second, becomes(healthy)}}, nil,
			outcomes{0, paused + "Progressing - waiting for rollout spec update to be observed\nHealthy\n", ""}, 2 * time.Second},
		"too late": {"status web --timeout 1m", script{{2 * time.Minute, becomes(healthy)}}, nil,
			outcomes{exitTimeout, paused, "Error: Rollout status watch exceeded timeout\n"}, time.Minute},
		"just in time": {"status web -t 1m", script{{59 * time.Second, becomes(healthy)}}, nil,
			outcomes{0, paused + "Healthy\n", ""}, 59 * time.Second},
		"interrupted": {"status web", script{{5 * time.Second, func(_ *apiServer, stop func()) { stop() }}}, nil,
			outcomes{exitOther, paused, "Error: rollout status watch was interrupted\n"}, 5 * time.Second},
		"deleted": {"status web", script{{5 * time.Second, func(s *apiServer, _ func()) { s.remove("/rollouts/web") }}}, nil,
			outcomes{exitNotFound, paused, "Error: rollout.argoproj.io \"web\" not found\nThere are no rollouts in namespace \"shop\".\n"}, 5 * time.Second},
		"the watch is cut, and a change is missed": {"status web", script{{time.Second, func(s *apiServer, _ func()) { s.cutWatches(); s.put(givenRollout(healthy)) }}}, nil,
			outcomes{0, paused + "Healthy\n", ""}, 2 * time.Second},
		"another rollout changes": {"status web -t 1m", script{{time.Second, becomes(healthy, func(r *v1alpha1.Rollout) { r.Name, r.UID = "api", "uid-api" })}}, nil,
			outcomes{exitTimeout, paused, "Error: Rollout status watch exceeded timeout\n"}, time.Minute},
		"listing is forbidden": {"status web", nil, map[string]int{rollouts: http.StatusForbidden},
			outcomes{exitOther, "", "Error: list rollouts in shop: the server says Forbidden; ask those who run the cluster for this right, or choose another --context\n"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, givenRollout())
				s.deny = c.deny
				got, took := play(t, s, Options{}, c.acts, strings.Fields(c.args)...)
				if got != c.want || took != c.took {
					t.Errorf("got %+v after %s\nwant %+v after %s", got, took, c.want, c.took)
				}
				for _, read := range s.reads {
					if got.code == exitNotFound {
						break // it looks for a name that may have been meant
					}
					if !strings.Contains(read, "/rollouts?") || !strings.Contains(read, "fieldSelector=metadata.name%3Dweb") {
						t.Errorf("it read more than its own rollout: %s", read)
					}
				}
			})
		})
	}
}

// An API server that is away for a moment is no reason to give up; one that stays away is.
func TestAStatusWatchOutlivesAShortOutage(t *testing.T) {
	for name, c := range map[string]struct {
		back time.Duration
		code int
	}{"short": {3 * time.Second, 0}, "long": {time.Hour, exitOther}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, givenRollout())
				// Watches that merely end, as they do every few minutes, do not count as failures.
				cut := func(s *apiServer, _ func()) { s.cutWatches() }
				got, took := play(t, s, Options{}, script{
					{100 * time.Millisecond, cut}, {2 * time.Second, cut}, {4 * time.Second, cut}, {6 * time.Second, cut}, {8 * time.Second, cut},
					{10 * time.Second, func(s *apiServer, _ func()) { s.fail(rollouts, http.StatusBadGateway); s.cutWatches() }},
					{10*time.Second + c.back, func(s *apiServer, _ func()) { s.put(givenRollout(healthy)); s.fail(rollouts, 0) }},
				}, "status", "web")
				if got.code != c.code || took > time.Minute || c.code == exitOther && !strings.HasPrefix(got.err, "Error: list rollouts in shop:") {
					t.Errorf("got %+v after %s, want exit code %d", got, took, c.code)
				}
			})
		})
	}
}

func TestStatusEndsAtThePhaseThatIsAskedFor(t *testing.T) {
	for name, c := range map[string]struct {
		args string
		mod  func(*v1alpha1.Rollout)
		acts script
		want outcomes
	}{
		"paused is asked for":            {"status web --for paused", bySpec, nil, outcomes{0, "Paused - CanaryPauseStep\n", ""}},
		"one of two":                     {"status web --for healthy,Paused", running, script{{time.Second, becomes()}}, outcomes{0, "Progressing - more replicas need to be updated\nPaused - CanaryPauseStep\n", ""}},
		"degraded is asked for":          {"status web --for=degraded", degraded, nil, outcomes{0, "Degraded - RolloutAborted: no success\n", ""}},
		"degraded is not":                {"status web --for=paused", degraded, nil, outcomes{exitDegraded, "Degraded - RolloutAborted: no success\n", "Error: The rollout is in a degraded state with message: RolloutAborted: no success\n"}},
		"healthy is not":                 {"status web --for=paused", healthy, nil, outcomes{exitOtherwise, "Healthy\n", "Error: the rollout is healthy; asked for was paused\n"}},
		"a pause is waited out":          {"status web --for healthy", bySpec, script{{time.Second, becomes(healthy)}}, outcomes{0, "Paused - CanaryPauseStep\nHealthy\n", ""}},
		"nobody waits, it is paused":     {"status web --for healthy -w=false", bySpec, nil, outcomes{exitPaused, "Paused - CanaryPauseStep\n", "Error: the rollout is paused: CanaryPauseStep\n"}},
		"nobody waits, it is under way":  {"status web --for healthy -w=false", running, nil, outcomes{exitTimeout, "Progressing - more replicas need to be updated\n", "Error: the rollout is not healthy yet: Progressing - more replicas need to be updated\n"}},
		"nobody waits, it is as desired": {"status web --for progressing -w=false", running, nil, outcomes{0, "Progressing - more replicas need to be updated\n", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if got, _ := play(t, newServer(t, givenRollout(c.mod)), Options{}, c.acts, strings.Fields(c.args)...); got != c.want {
					t.Errorf("got %+v, want %+v", got, c.want)
				}
			})
		})
	}
	if got := newServer(t).call(t.Context(), "status", "web", "--for", "done"); got.code != exitOther || !strings.HasPrefix(got.err, `Error: --for: want healthy, paused, degraded or progressing, got "done"`) {
		t.Errorf("%+v", got)
	}
}
