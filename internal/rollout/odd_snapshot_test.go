package rollout

import (
	"math/rand/v2"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
)

// oddSnapshot is what an observer could report of a Rollout: random revisions, a random
// position, and traffic between them.
func oddSnapshot(r *rand.Rand, ro *v1alpha1.Rollout) Snapshot {
	s := Snapshot{
		Now: epoch.Add(time.Duration(r.IntN(3600)) * time.Second), Namespace: ro.Namespace, Name: ro.Name,
		Generation: int64(r.IntN(5)), Number: int64(r.IntN(4)), Spec: *ro.Spec.DeepCopy(), Status: *ro.Status.DeepCopy(),
		TemplateHash: v1alpha1.PodTemplateHash(&ro.Spec.Template, ro.Status.CollisionCount),
		NameTaken:    r.IntN(10) == 0, Deleting: r.IntN(20) == 0, Finalizer: r.IntN(4) == 0,
	}
	steps := 0
	if c := ro.Spec.Strategy.Canary; c != nil {
		s.StepsHash, steps = v1alpha1.StepHash(c.Steps), len(c.Steps)
		s.Routed = c.TrafficRouting != nil
	}
	s.Routed = s.Routed || ro.Spec.Strategy.BlueGreen != nil
	oddRevisions(r, &s)
	hashes := []string{"", s.TemplateHash, "gone"}
	for _, rev := range s.Revisions {
		hashes = append(hashes, rev.Hash, rev.Hash)
	}
	hash := func() string { return hashes[r.IntN(len(hashes))] }
	if r.IntN(4) > 0 {
		oddPosition(r, &s, steps, hash)
	}
	oddTraffic(r, &s, hash)
	oddRuns(r, &s, steps, hash)
	if ro.Spec.WorkloadRef != nil {
		s.Workload = &Workload{Generation: 1, Scalable: r.IntN(2) == 0, Desired: int32(r.IntN(5)), Available: int32(r.IntN(5))}
	}
	if r.IntN(10) == 0 {
		s.Trouble = []Note{{Waiting, Unreadable, "no answer"}}
	}
	return s
}

// mostPods is more than any cluster has: a user may write what he likes, but the counts
// of ReplicaSets come from pods.
const mostPods = 1 << 28

// count is a number of pods around the wanted one.
func count(r *rand.Rand, n int32) int32 {
	return []int32{0, 1, n, n, n / 2, max(n-1, 0)}[r.IntN(6)]
}

func oddRevisions(r *rand.Rand, s *Snapshot) {
	n := min(max(s.Spec.ReplicasOrDefault(), 0), mostPods)
	for i, hash := range []string{"aaa", "bbb", s.TemplateHash, "ccc"} {
		if r.IntN(4) == 0 {
			continue
		}
		rev := Revision{Hash: hash, Name: s.Name + "-" + hash, Number: int64(r.IntN(6)), Born: int64(i), Current: hash == s.TemplateHash,
			Desired: count(r, n), Actual: count(r, n), Observed: r.IntN(4) > 0, Created: epoch.Add(time.Duration(i) * time.Second),
			MetadataStale: r.IntN(8) == 0, MinReadySeconds: int32(r.IntN(2)), AffinityStale: r.IntN(8) == 0,
			AnnotationsStale: r.IntN(8) == 0, Deleting: r.IntN(16) == 0, RetireUnreadable: r.IntN(16) == 0}
		rev.Ready = min(rev.Actual, count(r, n))
		rev.Available = min(rev.Ready, count(r, n))
		if r.IntN(3) == 0 {
			rev.RetireAt = s.Now.Add(time.Duration(r.IntN(60)-30) * time.Second)
		}
		s.Revisions = append(s.Revisions, rev)
	}
	slices.SortStableFunc(s.Revisions, func(a, b Revision) int { return int(b.Number - a.Number) })
	if r.IntN(4) == 0 {
		s.Targets = &Targets{Served: r.IntN(2) == 0, Why: "not yet"}
	}
	if RestartDue(&s.Spec, &s.Status, s.Now) {
		for _, rev := range s.Revisions {
			s.Pods = append(s.Pods, Pod{Name: rev.Name + "-x", Hash: rev.Hash, Available: r.IntN(2) == 0, Deleting: r.IntN(4) == 0})
		}
	}
}

func oddPosition(r *rand.Rand, s *Snapshot, steps int, hash func() string) {
	st := &s.Status
	index := int32(r.IntN(steps+4) - 2)
	st.CurrentStepIndex = &index
	st.StableRS, st.CurrentPodHash, st.CurrentStepHash = hash(), s.TemplateHash, s.StepsHash
	if r.IntN(8) == 0 {
		st.CurrentPodHash = hash()
	}
	st.Abort, st.PromoteFull, st.ControllerPause = r.IntN(5) == 0, r.IntN(8) == 0, r.IntN(4) == 0
	ago := metav1.NewTime(s.Now.Add(-time.Duration(r.IntN(7200)) * time.Second))
	if r.IntN(5) == 0 {
		st.AbortedAt = &ago
	}
	reasons := []v1alpha1.PauseReason{v1alpha1.PauseReasonCanaryPauseStep, v1alpha1.PauseReasonBlueGreenPause,
		v1alpha1.PauseReasonInconclusiveAnalysis, v1alpha1.PauseReasonInconclusiveExperiment, "odd"}
	for range r.IntN(3) {
		st.PauseConditions = append(st.PauseConditions, v1alpha1.PauseCondition{Reason: reasons[r.IntN(len(reasons))], StartTime: ago})
	}
	st.BlueGreen.ActiveSelector, st.BlueGreen.PreviewSelector = hash(), hash()
	st.BlueGreen.ScaleUpPreviewCheckPoint = r.IntN(4) == 0
	ref := &v1alpha1.RolloutAnalysisRunStatus{Name: "run-0", Status: oddPhase(r)}
	for _, k := range []RunKind{Background, StepRun, PrePromotion, PostPromotion} {
		if r.IntN(3) == 0 {
			*refOf(st, k) = ref
		}
	}
	if r.IntN(3) == 0 {
		st.Canary.CurrentExperiment = "experiment-0"
	}
	st.Canary.StablePingPong = []v1alpha1.PingPongType{"", v1alpha1.PPPing, v1alpha1.PPPong, "odd"}[r.IntN(4)]
}

func oddPhase(r *rand.Rand) v1alpha1.AnalysisPhase {
	return []v1alpha1.AnalysisPhase{"", "Pending", "Running", "Successful", "Failed", "Error", "Inconclusive", "Odd"}[r.IntN(8)]
}

func oddTraffic(r *rand.Rand, s *Snapshot, hash func() string) {
	stable, canary := Roles(&s.Spec, &s.Status)
	for _, name := range []string{stable, canary} {
		if name != "" {
			s.Services = append(s.Services, Service{Name: name, Exists: r.IntN(8) > 0, Hash: hash(), Managed: r.IntN(4) > 0})
		}
	}
	if !s.Routed {
		return
	}
	total := int32(traffic.DefaultTotal)
	if c := s.Spec.Strategy.Canary; c != nil && c.TrafficRouting.MaxTrafficWeightOrDefault() > 0 {
		total = c.TrafficRouting.MaxTrafficWeightOrDefault()
	}
	split := func() traffic.Split {
		weight := []int32{0, total, total / 2, 1}[r.IntN(4)]
		sp := traffic.Two(total, weight, traffic.Destination{Service: stable, Hash: hash()}, traffic.Destination{Service: canary, Hash: hash()})
		if r.IntN(6) == 0 {
			sp.Destinations = append(sp.Destinations, traffic.Destination{Role: traffic.Extra, Service: "s", Hash: "x", Weight: min(5, sp.Destinations[0].Weight)})
			sp.Destinations[0].Weight -= sp.Destinations[2].Weight
		}
		return sp
	}
	s.Pinned, s.Verifies = r.IntN(3) == 0, r.IntN(3) == 0
	s.Traffic = traffic.State{Written: split(), Known: r.IntN(5) > 0}
	s.Traffic.Live = []traffic.Split{s.Traffic.Written}
	if r.IntN(3) == 0 {
		s.Traffic.Live = append(s.Traffic.Live, split())
	}
	if r.IntN(16) == 0 {
		s.Traffic.Problem = "the route is gone"
	}
}

func oddRuns(r *rand.Rand, s *Snapshot, steps int, hash func() string) {
	for _, name := range []string{"run-0", "run-1"}[:r.IntN(3)] {
		s.Runs = append(s.Runs, Run{Name: name, Kind: []RunKind{Background, StepRun, PrePromotion, PostPromotion}[r.IntN(4)],
			Step: int32(r.IntN(steps+1) - 1), Hash: hash(), Phase: oddPhase(r), Terminating: r.IntN(6) == 0, Created: s.Now})
	}
	for _, name := range []string{"experiment-0", "experiment-1"}[:r.IntN(3)] {
		x := Experiment{Name: name, Hash: hash(), Phase: oddPhase(r), Terminating: r.IntN(6) == 0, Created: s.Now}
		x.Templates = []ExperimentTemplate{{Name: "a", Service: "s", Hash: "x", Available: int32(r.IntN(3))}, {Name: "b"}}
		s.Experiments = append(s.Experiments, x)
	}
	if r.IntN(4) == 0 {
		s.Answers = []Answer{{Index: int32(r.IntN(steps+1) - 1), Name: "x/y", Operation: v1alpha1.StepPluginOperationRun, At: s.Now,
			Unknown: r.IntN(4) == 0, Phase: v1alpha1.StepPluginPhaseSuccessful}}
	}
}
