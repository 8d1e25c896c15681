package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/sandbox/cluster"
	"github.com/penstock-io/penstock/sandbox/load"
)

// releaseWithin bounds one release.
const releaseWithin = 75 * time.Second

// stage follows the demo's objects. It is used by one goroutine.
type stage struct {
	cluster  *cluster.Cluster
	arrivals *Arrivals
	tell     *teller
	events   <-chan event
	load     *load.Generator

	rollout *v1alpha1.Rollout
	told    map[string]string // the last line about a thing, so that none is repeated
	version string            // the version being released
	window  *window
	splits  []Split
	asked   int       // the weight that the route asks for
	failing string    // the run whose measurement failed
	backAt  time.Time // when the route said 100 % stable again
}

// until handles events until done reports true.
func (s *stage) until(ctx context.Context, what string, done func() bool) error {
	timeout := time.NewTimer(releaseWithin)
	defer timeout.Stop()
	for !done() {
		select {
		case e := <-s.events:
			s.see(ctx, e)
		case <-timeout.C:
			return fmt.Errorf("%s did not happen within %s; the rollout is %s", what, releaseWithin, s.state())
		case <-s.cluster.Done():
			return s.cluster.Err()
		case <-ctx.Done():
			return fmt.Errorf("wait until %s: %w", what, context.Cause(ctx))
		}
	}
	return nil
}

func (s *stage) state() string {
	if s.rollout == nil {
		return "not seen"
	}
	return strings.TrimSuffix(orUnknown(s.rollout.Status.Phase)+": "+s.rollout.Status.Message, ": ")
}

// reached reports a phase of the spec that is applied now.
func (s *stage) reached(phase v1alpha1.RolloutPhase) bool {
	r := s.rollout
	return r != nil && r.Status.ObservedGeneration == fmt.Sprint(r.Generation) && r.Status.Phase == phase
}

func (s *stage) firstHealthy(ctx context.Context) error {
	s.version, s.told["rollout"] = "v1", "Healthy" // which is told in other words
	return s.until(ctx, "the first Healthy", func() bool { return s.reached(v1alpha1.RolloutPhaseHealthy) && s.cluster.Gateway().Ready() })
}

// release changes the image, and returns once the controller has seen it.
func (s *stage) release(ctx context.Context, version, image string) (load.Report, error) {
	s.version, s.window, s.splits, s.failing, s.backAt = version, nil, nil, "", time.Time{}
	before := s.rollout.Status.CurrentPodHash
	patch, err := json.Marshal([]map[string]string{{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image}})
	if err != nil {
		return load.Report{}, fmt.Errorf("release %s: %w", version, err)
	}
	report := s.load.Snapshot()
	target := &v1alpha1.Rollout{}
	target.Namespace, target.Name = namespace, rolloutName
	if err := s.cluster.Client().Patch(ctx, target, client.RawPatch("application/json-patch+json", patch)); err != nil {
		return report, fmt.Errorf("release %s: %w", version, err)
	}
	generation := target.Generation
	return report, s.until(ctx, "the start of "+version, func() bool {
		st := s.rollout.Status
		return st.ObservedGeneration == fmt.Sprint(generation) && st.CurrentPodHash != before
	})
}

func (s *stage) good(ctx context.Context) (g Good, err error) {
	s.tell.say("release", "v2, which is healthy: image %s", goodImage)
	before, err := s.release(ctx, "v2", goodImage)
	if err == nil {
		err = s.until(ctx, "the promotion of v2", func() bool {
			return s.reached(v1alpha1.RolloutPhaseHealthy) || s.reached(v1alpha1.RolloutPhaseDegraded)
		})
	}
	if err == nil && s.reached(v1alpha1.RolloutPhaseHealthy) {
		err = s.until(ctx, "the route's return to stable", func() bool { return s.asked == 0 })
	}
	s.shut(ctx)
	after := s.load.Snapshot()
	g = Good{Splits: s.splits, failed: after.Failed - before.Failed, requests: answered(after) - answered(before)}
	if s.rollout != nil {
		g.Phase = s.rollout.Status.Phase
	}
	return g, err
}

func (s *stage) bad(ctx context.Context) (b Bad, err error) {
	s.tell.say("release", "v3, which fails 5 %% of its requests and is slow: image %s", badImage)
	before, err := s.release(ctx, "v3", badImage)
	if err == nil {
		err = s.until(ctx, "the end of v3", func() bool {
			return s.reached(v1alpha1.RolloutPhaseHealthy) || s.reached(v1alpha1.RolloutPhaseDegraded)
		})
	}
	canary := func() int32 { return s.rollout.Status.UpdatedReplicas }
	if err == nil && s.reached(v1alpha1.RolloutPhaseDegraded) {
		err = s.until(ctx, "the removal of v3's pods", func() bool { return canary() == 0 })
	}
	after := s.load.Snapshot()
	b = Bad{AbortMS: -1, FailedRequests: after.Failed - before.Failed, Requests: answered(after) - answered(before), splits: s.splits}
	if s.rollout != nil {
		b.Phase, b.scaledDown = s.rollout.Status.Phase, canary() == 0
		b.Reason = strings.TrimPrefix(s.rollout.Status.Message, "RolloutAborted: ")
	}
	if f, ok := s.arrivals.of(s.failing); ok && !s.backAt.IsZero() {
		b.AbortMS = round(float64(s.backAt.Sub(f.at))/float64(time.Millisecond), 1)
	}
	if err == nil && b.scaledDown {
		s.tell.say("pods", "v3 is scaled down; all %d pods are v2", s.rollout.Status.Replicas)
	}
	return b, err
}

// answered counts requests that ended, well or not.
func answered(r load.Report) uint64 { return r.OK + r.Failed }
