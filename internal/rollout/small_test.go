package rollout

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
)

// The small world: everything that can happen to one routed canary of a few pods, in a
// comparable value, so that a search can visit all of it.

const (
	noRev   int8 = -1
	revs         = 3
	retNone int8 = 0 // no deadline
	retSoon int8 = 1 // deadline in the future
	retDue  int8 = 2 // deadline passed
)

type smallRev struct {
	Exists         bool
	Desired, Avail int8
	Retire         int8
	Number         int8
}

// small is one state of the world.
type small struct {
	Revs [revs]smallRev
	// N is spec.replicas; Template is the revision that the spec asks for.
	N, Template int8
	// the persisted position
	Stable, Pos, Index  int8
	Abort, Full, Paused bool
	CtrlPause           bool
	Run                 int8 // 0 none, 1 running, 2 success, 3 failed
	RunStopped          bool
	RunRev              int8
	// Named is the revision, from 1, whose run the status names; 0 for none.
	Named int8
	// Dated is when the abort was: 0 never, 1 just now, 2 longer ago than it may wait.
	Dated int8
	// Check is blue-green's check point; Pause is the kind of pause condition: 1 of a step.
	Check bool
	// Trial is the experiment of the canary's step: 0 none, 1 running, 2 successful,
	// 3 failed. TrialUp: its pods are there. Listed: the status names its destination.
	// Extra: the route gives it its weight; LiveExtra: the data plane may.
	Trial                             int8
	TrialUp, Listed, Extra, LiveExtra bool
	TrialNamed                        bool
	// the route objects: index into small weights, and who the roles point at
	Weight, Canary, StableTo int8
	// Ping: the roles have changed places, stable is behind the Service named canary.
	Ping bool
	// what the data plane may still do: bit sets over weights and revisions
	LiveWeights, LiveCanary, LiveStable uint8
	Unknown                             bool
	// what is left of the budget for surprises
	Surprises int8
}

// arena holds what does not change during one search.
type arena struct {
	weights []int32 // the weights that can be written; 0 and 100 among them
	steps   []v1alpha1.CanaryStep
	blue    *v1alpha1.BlueGreenStrategy
	kind    RunKind // of the one run that the world has at a time
	spec    v1alpha1.RolloutSpec
	hash    string
}

// newBlueArena is the small world of a blue-green rollout.
func newBlueArena(b v1alpha1.BlueGreenStrategy) *arena {
	b.ActiveService, b.PreviewService = "stable", "canary"
	a := &arena{weights: []int32{0}, blue: &b, kind: PrePromotion}
	if b.PostPromotionAnalysis != nil {
		a.kind = PostPromotion
	}
	a.spec = v1alpha1.RolloutSpec{
		Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "demo"}},
		Strategy: v1alpha1.RolloutStrategy{BlueGreen: &b},
	}
	return a
}

var smallHashes = [revs]string{"v1", "v2", "v3"}

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newArena(steps []v1alpha1.CanaryStep, change func(*v1alpha1.CanaryStrategy)) *arena {
	c := &v1alpha1.CanaryStrategy{
		Steps: steps, StableService: "stable", CanaryService: "canary",
		TrafficRouting: &v1alpha1.RolloutTrafficRouting{},
	}
	if change != nil {
		change(c)
	}
	a := &arena{steps: c.Steps, kind: StepRun, hash: v1alpha1.StepHash(c.Steps)}
	seen := map[int32]bool{0: true, 100: true}
	for _, s := range steps {
		if s.SetWeight != nil {
			seen[*s.SetWeight] = true
		}
	}
	for w := int32(0); w <= 100; w++ {
		if seen[w] {
			a.weights = append(a.weights, w)
		}
	}
	a.spec = v1alpha1.RolloutSpec{
		Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "demo"}},
		Template: corev1.PodTemplateSpec{},
		Strategy: v1alpha1.RolloutStrategy{Canary: c},
	}
	return a
}

// quiet is a promoted rollout at revision 1.
func (a *arena) quiet(n int8) small {
	s := small{N: n, Stable: 0, Pos: 0, Index: int8(len(a.steps)), Canary: 0, StableTo: 0,
		LiveWeights: 1, LiveCanary: 1, LiveStable: 1}
	s.Revs[0] = smallRev{Exists: true, Desired: n, Avail: n, Number: 1}
	return s
}

func hashOf(i int8) string {
	if i < 0 {
		return ""
	}
	return smallHashes[i]
}

func indexOf(hash string) int8 {
	for i, h := range smallHashes {
		if h == hash {
			return int8(i)
		}
	}
	return noRev
}

// weightIndex returns the nearest listed weight at or above; partial weights of an abort
// round up, which is the pessimistic side for the canary.
func (a *arena) weightIndex(w int32) int8 {
	for i, x := range a.weights {
		if x >= w {
			return int8(i)
		}
	}
	return int8(len(a.weights) - 1)
}

// trialWeight is the share of the experiment in the small world.
const trialWeight = 10

// live lists every combination that the data plane may be serving.
func (a *arena) live(s *small) []traffic.Split {
	var out []traffic.Split
	for w := int8(0); w < int8(len(a.weights)); w++ {
		for c := int8(0); c < revs; c++ {
			for st := int8(0); st < revs; st++ {
				if s.LiveWeights&(1<<w) != 0 && s.LiveCanary&(1<<c) != 0 && s.LiveStable&(1<<st) != 0 {
					out = append(out, a.split(s, w, c, st, false))
					if s.LiveExtra {
						out = append(out, a.split(s, w, c, st, true))
					}
				}
			}
		}
	}
	return out
}

// snapshot is what an up-to-date observer would report of the small world.
func (a *arena) snapshot(s *small) Snapshot {
	n, idx := int32(s.N), int32(s.Index)
	snap := Snapshot{Now: epoch, Namespace: "shop", Name: "demo", Generation: 1, Spec: a.spec,
		StepsHash: a.hash, TemplateHash: hashOf(s.Template), Routed: true}
	snap.Spec.Replicas = &n
	st := &snap.Status
	st.ObservedGeneration = "1"
	st.CurrentPodHash, st.StableRS, st.CurrentStepHash = hashOf(s.Pos), hashOf(s.Stable), a.hash
	st.Abort, st.PromoteFull, st.ControllerPause = s.Abort, s.Full, s.CtrlPause
	if len(a.steps) > 0 {
		st.CurrentStepIndex = &idx
	}
	st.Canary.StablePingPong = sideOf(s.Ping)
	if s.Paused {
		reason := v1alpha1.PauseReasonCanaryPauseStep
		if a.blue != nil {
			reason = v1alpha1.PauseReasonBlueGreenPause
		}
		st.PauseConditions = []v1alpha1.PauseCondition{{Reason: reason, StartTime: metav1.NewTime(epoch)}}
	}
	st.BlueGreen.ScaleUpPreviewCheckPoint = s.Check
	if s.Dated > 0 {
		at := metav1.NewTime(epoch.Add(-time.Duration(s.Dated-1) * time.Hour))
		st.AbortedAt = &at
	}
	newest := int64(0)
	for i := int8(revs - 1); i >= 0; i-- {
		r := s.Revs[i]
		if !r.Exists {
			continue
		}
		rev := Revision{Hash: hashOf(i), Name: "demo-" + hashOf(i), Number: int64(r.Number), Current: i == s.Template,
			Desired: int32(r.Desired), Actual: int32(r.Desired), Ready: int32(r.Avail), Available: int32(r.Avail),
			Observed: true, Created: epoch}
		switch r.Retire {
		case retSoon:
			rev.RetireAt = epoch.Add(30 * time.Second)
		case retDue:
			rev.RetireAt = epoch
		}
		newest = max(newest, rev.Number)
		snap.Revisions = append(snap.Revisions, rev)
	}
	snap.Number = newest
	snap.Services = []Service{{Name: "stable", Exists: true, Managed: true, Hash: hashOf(s.StableTo)},
		{Name: "canary", Exists: true, Managed: true, Hash: hashOf(s.Canary)}}
	snap.Traffic = traffic.State{Written: a.split(s, s.Weight, s.Canary, s.StableTo, s.Extra), Live: a.live(s), Known: !s.Unknown}
	if s.Unknown { // a controller that has just begun has seen what is written, and nothing else
		snap.Traffic.Live = []traffic.Split{snap.Traffic.Written}
	}
	a.runs(s, &snap)
	a.trials(s, &snap)
	return snap
}

// trials adds the experiment.
func (a *arena) trials(s *small, snap *Snapshot) {
	name := fmt.Sprintf("demo-%s-%d-%d", hashOf(s.RunRev), s.Revs[max(s.RunRev, 0)].Number, a.trialStep())
	if s.TrialNamed {
		snap.Status.Canary.CurrentExperiment = name
	}
	if s.Listed {
		snap.Status.Canary.Weights = &v1alpha1.TrafficWeights{Additional: []v1alpha1.WeightDestination{{ServiceName: "trial", PodTemplateHash: "trial"}}}
	}
	if s.Trial == 0 {
		return
	}
	x := Experiment{Name: name, Hash: hashOf(s.RunRev), Number: int64(s.Revs[s.RunRev].Number), Terminating: s.RunStopped, Created: epoch,
		Phase:     []v1alpha1.AnalysisPhase{"", v1alpha1.AnalysisPhaseRunning, v1alpha1.AnalysisPhaseSuccessful, v1alpha1.AnalysisPhaseFailed}[s.Trial],
		Templates: []ExperimentTemplate{{Name: "trial", Service: "trial", Hash: "trial"}}}
	if s.TrialUp {
		x.Templates[0].Available = 1
	}
	snap.Experiments = []Experiment{x}
}

func (a *arena) trialStep() int32 {
	return int32(slices.IndexFunc(a.steps, func(s v1alpha1.CanaryStep) bool { return s.Experiment != nil }))
}

func (a *arena) runs(s *small, snap *Snapshot) {
	if s.Named > 0 {
		*refOf(&snap.Status, a.kind) = &v1alpha1.RolloutAnalysisRunStatus{Name: runName(s.Named - 1)}
	}
	if s.Run == 0 {
		return
	}
	step := a.analysisStep()
	if a.kind != StepRun {
		step = -1
	}
	phase := []v1alpha1.AnalysisPhase{"", v1alpha1.AnalysisPhaseRunning, v1alpha1.AnalysisPhaseSuccessful, v1alpha1.AnalysisPhaseFailed}[s.Run]
	snap.Runs = []Run{{Name: runName(s.RunRev), Kind: a.kind, Step: step, Hash: hashOf(s.RunRev),
		Number: int64(s.Revs[max(s.RunRev, 0)].Number), Phase: phase, Terminating: s.RunStopped, Created: epoch}}
}

func runName(rev int8) string { return "demo-" + hashOf(rev) + "-run" }

func (a *arena) analysisStep() int32 {
	for i, s := range a.steps {
		if s.Analysis != nil {
			return int32(i)
		}
	}
	return -1
}

// persist writes a plan's status into the world.
func (a *arena) persist(s *small, p *Plan) {
	st := &p.Status
	s.Stable, s.Pos = indexOf(st.StableRS), indexOf(st.CurrentPodHash)
	s.Index = 0
	if st.CurrentStepIndex != nil {
		s.Index = int8(*st.CurrentStepIndex)
	}
	s.Abort, s.Full, s.CtrlPause = st.Abort, st.PromoteFull, st.ControllerPause
	s.Paused = len(st.PauseConditions) > 0
	s.Named = 0
	if ref := *refOf(st, a.kind); ref != nil {
		s.Named = 1 + int8(slices.IndexFunc(smallHashes[:], func(h string) bool { return strings.Contains(ref.Name, h) }))
	}
	s.Check = st.BlueGreen.ScaleUpPreviewCheckPoint
	if st.AbortedAt == nil {
		s.Dated = 0
	} else if s.Dated == 0 {
		s.Dated = 1
	}
	s.Ping = st.Canary.StablePingPong == v1alpha1.PPPing
	s.TrialNamed = st.Canary.CurrentExperiment != ""
	s.Listed = st.Canary.Weights != nil && len(st.Canary.Weights.Additional) > 0
}

// do carries out one action. It returns what law the action breaks, "" for none.
// n is the pod count that the planner knew: what an autoscaler wants a moment later is
// met by a later pass.
func (a *arena) do(s *small, n int8, act Action) (broken string) {
	switch x := act.(type) {
	case EnsureRevision:
		if i := indexOf(x.Hash); !s.Revs[i].Exists {
			s.Revs[i] = smallRev{Exists: true, Number: int8(x.Number)}
		}
	case Renumber:
		s.Revs[indexOf(x.Hash)].Number = int8(x.Number)
	case Scale:
		return a.doScale(s, n, x)
	case Retire:
		r := &s.Revs[indexOf(x.Hash)]
		r.Retire = retNone
		if !x.At.IsZero() {
			r.Retire = retSoon
		}
	case Delete:
		i := indexOf(x.Hash)
		if s.Revs[i].Desired > 0 {
			return "a revision with pods was deleted"
		}
		s.Revs[i] = smallRev{}
	case SetSelector:
		return a.doPoint(s, n, x.Service, indexOf(x.Hash))
	case SetSplit:
		return a.doSplit(s, n, x.Split)
	case StartExperiment:
		if s.Trial == 0 || s.RunRev != indexOf(x.Hash) || s.RunStopped {
			s.Trial, s.RunRev, s.RunStopped = 1, indexOf(x.Hash), false
		}
	case StopExperiment:
		s.RunStopped = true
		if s.Trial == 1 {
			s.Trial = 2
		}
	case DeleteExperiment:
		s.Trial, s.RunStopped = 0, false
	case StartRun:
		if s.Run == 0 || s.RunRev != indexOf(x.Hash) || s.RunStopped {
			s.Run, s.RunRev, s.RunStopped = 1, indexOf(x.Hash), false
		}
	case StopRun:
		s.RunStopped = true
		if s.Run == 1 {
			s.Run = 2 // the published engine calls a stopped run Successful
		}
	case DeleteRun:
		s.Run, s.RunStopped = 0, false
	}
	return broken
}

func (a *arena) doSplit(s *small, n int8, to traffic.Split) (broken string) {
	w := a.weightIndex(shareOf(to, "canary"))
	broken = a.checkWeight(s, n, w)
	s.Weight = w
	s.LiveWeights |= 1 << w
	s.Extra = len(to.Extras()) > 0
	if s.Extra && !s.TrialUp {
		broken = "traffic went to an experiment that is not there"
	}
	s.LiveExtra = s.LiveExtra || s.Extra
	return broken
}

// arriving is the largest share of traffic that may reach the revision, by the truth.
func (a *arena) arriving(s *small, i int8) int32 {
	var canary, stable int32
	for w, x := range a.weights {
		if s.LiveWeights&(1<<w) != 0 {
			canary, stable = max(canary, x), max(stable, 100-x)
		}
	}
	var sum int32
	if s.LiveCanary&(1<<i) != 0 {
		sum += canary
	}
	if s.LiveStable&(1<<i) != 0 {
		sum += stable
	}
	return min(sum, 100)
}

func pods(n int8, weight int32) int8 { return int8((int32(n)*weight + 99) / 100) }

func (a *arena) doScale(s *small, n int8, x Scale) string {
	i := indexOf(x.Hash)
	r := &s.Revs[i]
	broken := ""
	if int8(x.To) < r.Desired && int8(x.To) < pods(n, a.arriving(s, i)) {
		broken = "pods were removed from a revision that traffic may still reach"
	}
	r.Desired = int8(x.To)
	r.Avail = min(r.Avail, r.Desired)
	if x.To == 0 {
		r.Retire = retNone
	}
	return broken
}

func (a *arena) doPoint(s *small, n int8, service string, to int8) string {
	broken := ""
	if service == "canary" {
		if w := a.largest(s); s.Revs[to].Desired < pods(n, w) && s.Revs[max(s.Canary, 0)].Avail > 0 {
			broken = "canary traffic was pointed at a revision that is not there"
		}
		s.Canary = to
		s.LiveCanary |= 1 << to
		return broken
	}
	low := pods(n, 100-a.smallest(s))
	if s.Dated == 2 {
		low = 1 // an abort that has waited long enough takes what there is
	}
	if a.kind == PrePromotion && a.blue.PrePromotionAnalysis != nil && to == s.Template && to != s.Stable && to == revs-1 && !s.Full && !s.passedRun(to) {
		broken = "the active service went over before its analysis succeeded"
	}
	if s.Revs[to].Desired < low && s.Revs[max(s.StableTo, 0)].Avail > 0 {
		broken = "stable traffic was pointed at a revision that is not there"
	}
	s.StableTo = to
	s.LiveStable |= 1 << to
	return broken
}

// passedRun reports that the run of a revision has succeeded by itself.
func (s *small) passedRun(rev int8) bool { return s.Run == 2 && !s.RunStopped && s.RunRev == rev }

func (a *arena) largest(s *small) (w int32) {
	for i, x := range a.weights {
		if s.LiveWeights&(1<<i) != 0 {
			w = max(w, x)
		}
	}
	return w
}

func (a *arena) smallest(s *small) int32 {
	for i, x := range a.weights {
		if s.LiveWeights&(1<<i) != 0 {
			return x
		}
	}
	return 0
}
