package demo

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// see takes one change in and tells it if it is news.
func (s *stage) see(ctx context.Context, e event) {
	switch {
	case e.rollout != nil && e.rollout.Name == rolloutName:
		s.seeRollout(e.at, e.rollout)
	case e.run != nil && strings.HasPrefix(e.run.Name, rolloutName+"-"):
		s.seeRun(e.at, e.run)
	case e.route != nil && e.route.GetName() == rolloutName:
		s.seeRoute(ctx, e.at, e.route)
	}
}

// once tells a line unless it was the last one about the thing.
func (s *stage) once(at time.Time, thing, topic, line string) {
	if s.told[thing] != line {
		s.told[thing] = line
		s.tell.sayAt(at, topic, "%s", line)
	}
}

func (s *stage) seeRollout(at time.Time, r *v1alpha1.Rollout) {
	s.rollout = r
	if r.Status.Phase == "" || r.Status.ObservedGeneration != fmt.Sprint(r.Generation) {
		return
	}
	line := orUnknown(r.Status.Phase)
	if r.Status.Message != "" && r.Status.Phase != v1alpha1.RolloutPhaseProgressing {
		line += ": " + r.Status.Message
	}
	if s.load != nil { // before the load starts there is one line for all
		s.once(at, "rollout", "rollout", line)
	}
}

func (s *stage) seeRun(at time.Time, run *v1alpha1.AnalysisRun) {
	st := run.Status
	switch {
	case !st.Phase.Completed():
		s.once(at, run.Name, "analysis", fmt.Sprintf("of %s at %d %%: %s", s.version, s.asked, strings.Join(metrics(run), ", ")))
	case st.Phase == v1alpha1.AnalysisPhaseSuccessful:
		s.once(at, run.Name, "analysis", fmt.Sprintf("of %s: Successful; last %s", s.version, strings.Join(values(run), ", ")))
	default:
		line := fmt.Sprintf("of %s: %s; %s", s.version, st.Phase, strings.Join(values(run), ", "))
		if st.Message != "" {
			line += "; " + st.Message
		}
		s.once(at, run.Name, "analysis", line)
	}
}

func metrics(run *v1alpha1.AnalysisRun) (list []string) {
	for _, m := range run.Spec.Metrics {
		list = append(list, m.Name+" must be "+m.SuccessCondition)
	}
	return list
}

// values are the last measured values of each metric.
func values(run *v1alpha1.AnalysisRun) (list []string) {
	for _, r := range run.Status.MetricResults {
		if n := len(r.Measurements); n > 0 {
			list = append(list, r.Name+" "+plain(r.Measurements[n-1].Value))
		}
	}
	return list
}

// plain shortens a vector of one number, such as [0.04878048780487805].
func plain(value string) string {
	v, err := strconv.ParseFloat(strings.Trim(value, "[]"), 64)
	if err != nil {
		return value
	}
	return strconv.FormatFloat(v, 'g', 2, 64)
}

// seeRoute ends the window of the weight before and begins the next one.
func (s *stage) seeRoute(ctx context.Context, at time.Time, route *unstructured.Unstructured) {
	weight, ok := canaryWeight(route, canaryService)
	if !ok || weight == s.asked {
		return
	}
	before := s.asked
	s.asked = weight
	failed, aborted := failure{}, false
	if weight == 0 {
		failed, aborted = s.failure()
	}
	if aborted && s.backAt.IsZero() {
		s.backAt = at
	}
	s.shut(ctx)
	switch {
	case aborted:
		s.tell.sayAt(at, "weight", "0 %% asked for: all traffic is back on stable, %.0f ms after the failing answer of %s arrived", float64(at.Sub(failed.at))/1e6, failed.metric)
	case weight == 0 && before == 100:
		s.tell.sayAt(at, "weight", "%s is stable now, so the route sends all traffic to stable", s.version)
	default:
		s.tell.sayAt(at, "weight", "%d %% asked for", weight)
	}
	if weight > 0 {
		s.window = open(s.cluster.Gateway(), route, weight)
	}
}

// failure is the first failing measurement of the version's own runs.
func (s *stage) failure() (failure, bool) {
	if s.failing == "" && s.rollout != nil {
		s.failing = s.arrivals.latest(fmt.Sprintf("%s-%s-", rolloutName, s.rollout.Status.CurrentPodHash))
	}
	return s.arrivals.of(s.failing)
}

// shut ends the present window and tells what was measured in it.
func (s *stage) shut(ctx context.Context) {
	if s.window == nil || ctx.Err() != nil {
		return
	}
	hash := s.rollout.Status.CurrentPodHash
	m := s.window.close(s.cluster.Gateway(), hash)
	s.window = nil
	s.splits = append(s.splits, m.Split)
	line := fmt.Sprintf("%.1f %% of %d requests in %.1f s went to %s at the gateway; its errors %.1f %%", m.Got, m.requests, m.took.Seconds(), s.version, m.errors)
	if p := p99(ctx, s.cluster.PrometheusURL(), hash, m.took); p != "" {
		line += ", its p99 " + p
	}
	s.tell.say("measured", "%s", line)
}
