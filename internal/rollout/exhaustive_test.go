package rollout

import (
	"fmt"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// planner is Decide, or a mutant of it that the search must catch.
type planner func(Snapshot) Plan

// node is a state of the search: the world, and a plan that is being carried out in any
// order, any part of which may be lost.
type node struct {
	S    small
	Seen small // what the running plan was made from
	Left uint16
	Busy bool
	// Flight is a write of a former leader that may still arrive: 1 + its index in the
	// plan that was made from From; 0 for none.
	Flight int8
	From   small
}

// chance says what may happen besides the controller's own work.
type chance struct {
	abort, full, supersede, back, scale, drift, forget, die, stop bool
	// lead: another controller takes over; one write of the former may still arrive.
	lead bool
}

type search struct {
	*arena
	plan   planner
	may    chance
	plans  map[small]Plan
	edges  int
	broken map[string]string
	// first ends the search at the first broken law.
	first bool
}

func (q *search) decide(s small) Plan {
	p, ok := q.plans[s]
	if !ok {
		p = q.plan(q.snapshot(&s))
		q.plans[s] = p
		if len(p.Actions) > 15 {
			panic("too many actions for one word of bits")
		}
	}
	return p
}

func (q *search) note(law string, n node) {
	if _, ok := q.broken[law]; !ok {
		q.broken[law] = fmt.Sprintf("%+v", n)
	}
}

// next visits every successor of a node.
func (q *search) next(n node, emit func(node)) {
	q.surroundings(n, emit)
	if !n.Busy {
		q.begin(n, emit)
		return
	}
	crash := n
	crash.Busy, crash.Left, crash.Seen = false, 0, small{}
	emit(crash)
	p := q.decide(n.Seen)
	q.takeOver(n, p, emit)
	for i := 0; i <= len(p.Actions); i++ {
		if n.Left&(1<<i) == 0 {
			continue
		}
		m := n
		m.Left &^= 1 << i
		if i < len(p.Actions) {
			if law := q.do(&m.S, n.Seen.N, p.Actions[i]); law != "" {
				q.note(law, n)
			}
		} else if sameIntent(&m.S, &n.Seen) {
			q.persist(&m.S, &p)
			if law := q.checkPosition(&n.Seen, &m.S); law != "" {
				q.note(law, n)
			}
		}
		if m.Left == 0 {
			m.Busy, m.Seen = false, small{}
		}
		emit(m)
	}
}

// takeOver lets another controller lead. It knows nothing of the data plane, and one write
// of the former leader may still be on its way: within the settle time, for the former
// leader ends itself seconds before the lease does.
func (q *search) takeOver(n node, p Plan, emit func(node)) {
	if !q.may.lead || n.S.Surprises == 0 || n.S.Unknown {
		return
	}
	for i := range p.Actions {
		if n.Left&(1<<i) != 0 {
			m := n
			m.Busy, m.Left, m.Seen = false, 0, small{}
			m.S.Unknown = true
			m.S.Surprises--
			m.Flight, m.From = int8(i+1), n.Seen
			emit(m)
		}
	}
}

// arrive lets the former leader's write land, if its object is still as it was: every
// write carries the version of what it was decided upon.
func (q *search) arrive(n node, emit func(node)) {
	if n.Flight == 0 {
		return
	}
	act := q.decide(n.From).Actions[n.Flight-1]
	if !sameObject(act, &n.S, &n.From) {
		return
	}
	m := n
	m.Flight, m.From = 0, small{}
	if law := q.do(&m.S, n.From.N, act); law != "" {
		q.note(law+" (by a former leader)", n)
	}
	emit(m)
}

// sameObject reports that the object of a write is as it was.
func sameObject(act Action, a, b *small) bool {
	rev := func(hash string) bool { i := indexOf(hash); return a.Revs[i] == b.Revs[i] }
	switch x := act.(type) {
	case Scale:
		return rev(x.Hash)
	case Renumber:
		return rev(x.Hash)
	case Retire:
		return rev(x.Hash)
	case Delete:
		return rev(x.Hash)
	case EnsureRevision:
		return rev(x.Hash)
	case SetSelector:
		return a.Canary == b.Canary && a.StableTo == b.StableTo
	case SetSplit:
		return a.Weight == b.Weight && a.Extra == b.Extra
	}
	return a.Run == b.Run && a.RunStopped == b.RunStopped && a.RunRev == b.RunRev && a.Trial == b.Trial
}

// sameIntent is the optimistic lock of the status write: it fails if a person changed
// the object after the plan's snapshot.
func sameIntent(a, b *small) bool {
	return a.Abort == b.Abort && a.Full == b.Full && a.Template == b.Template && a.N == b.N && a.Index == b.Index &&
		a.Paused == b.Paused
}

func (q *search) begin(n node, emit func(node)) {
	p := q.decide(n.S)
	after := n.S
	q.persist(&after, &p)
	if len(p.Actions) == 0 && after == n.S {
		return
	}
	if law := q.checkPlan(&n.S, p); law != "" {
		q.note(law, n)
	}
	m := n
	m.Busy, m.Seen, m.Left = true, n.S, 1<<(len(p.Actions)+1)-1
	emit(m)
}

// checkPlan holds the plan against the pods that the planner itself saw.
func (q *search) checkPlan(s *small, p Plan) string {
	for _, act := range p.Actions {
		x, ok := act.(SetSplit)
		if !ok {
			continue
		}
		if law := q.checkSeen(s, x.Split); law != "" {
			return law
		}
	}
	return ""
}

// checkPosition holds a new position against the one that the plan was made from.
func (q *search) checkPosition(seen, now *small) string {
	if seen.Pos != seen.Template || seen.Stable == seen.Template || seen.Full {
		return ""
	}
	if seen.Abort && !now.Abort {
		return "an abort was dropped"
	}
	if q.kind == PostPromotion && now.Stable == seen.Template && !seen.passedRun(seen.Template) && seen.Template == revs-1 {
		return "promoted before the analysis after the cutover succeeded"
	}
	if a := int8(q.analysisStep()); a >= 0 && seen.Index == a && now.Index > a && (seen.Run != 2 || seen.RunStopped) {
		return "the position passed an analysis that has not succeeded"
	}
	return ""
}

// surroundings is everything that happens without the controller.
func (q *search) surroundings(n node, emit func(node)) {
	q.podsMove(n, emit)
	q.dataPlane(n, emit)
	q.people(n, emit)
	q.arrive(n, emit)
	q.trial(n, emit)
	if n.S.Dated == 1 && n.S.Abort {
		m := n
		m.S.Dated = 2
		emit(m)
	}
	if n.S.Run == 1 {
		for _, verdict := range []int8{2, 3} {
			m := n
			m.S.Run = verdict
			emit(m)
		}
	}
	for i := range n.S.Revs {
		if n.S.Revs[i].Retire == retSoon {
			m := n
			m.S.Revs[i].Retire = retDue
			emit(m)
		}
	}
}

// trial is what the Experiment controller does: its pods come up, it ends, and then its
// pods go, unless the Rollout's status still names them.
func (q *search) trial(n node, emit func(node)) {
	s := n.S
	if s.Trial == 1 {
		for _, end := range []int8{2, 3} {
			m := n
			m.S.Trial = end
			emit(m)
		}
	}
	if s.Trial == 1 && !s.TrialUp {
		m := n
		m.S.TrialUp = true
		emit(m)
	}
	if s.Trial != 1 && s.TrialUp && !s.Listed {
		if s.Extra || s.LiveExtra {
			q.note("pods of an experiment went while it might get traffic", n)
		}
		m := n
		m.S.TrialUp = false
		emit(m)
	}
}

func (q *search) podsMove(n node, emit func(node)) {
	for i := range n.S.Revs {
		r := n.S.Revs[i]
		if r.Avail < r.Desired {
			m := n
			m.S.Revs[i].Avail = r.Desired // all at once: the order of single pods adds no plan
			emit(m)
			if r.Desired > 1 && r.Avail+1 < r.Desired {
				m.S.Revs[i].Avail = r.Avail + 1
				emit(m)
			}
		}
		if r.Avail > 0 && q.may.die && n.S.Surprises > 0 {
			m := n
			m.S.Revs[i].Avail--
			m.S.Surprises--
			emit(m)
		}
	}
}

func (q *search) dataPlane(n node, emit func(node)) {
	m := n
	m.S.LiveWeights, m.S.LiveCanary, m.S.LiveStable = 1<<n.S.Weight, 1<<n.S.Canary, 1<<n.S.StableTo
	m.S.Unknown = false
	m.S.LiveExtra = n.S.Extra
	m.Flight, m.From = 0, small{}
	if m != n {
		emit(m)
	}
	if q.may.forget && n.S.Surprises > 0 && !n.S.Unknown {
		m := n // the controller restarts and no longer knows what is live
		m.S.Unknown, m.Busy, m.Left, m.Seen = true, false, 0, small{}
		m.S.Surprises--
		emit(m)
	}
}

func (q *search) people(n node, emit func(node)) {
	s := n.S
	if s.Paused {
		m := n
		m.S.Paused = false
		emit(m)
	}
	if s.Abort && s.Dated > 0 {
		m := n
		m.S.Abort = false
		emit(m)
	}
	if s.Surprises == 0 {
		return
	}
	n.S.Surprises--
	with := func(ok bool, change func(*small)) {
		if ok {
			m := n
			change(&m.S)
			emit(m)
		}
	}
	with(q.may.abort && !s.Abort && s.Stable != s.Template, func(x *small) { x.Abort = true })
	with(q.may.full && !s.Full && s.Stable != s.Template, func(x *small) { x.Full = true })
	with(q.may.supersede && s.Template < revs-1, func(x *small) { x.Template++ })
	with(q.may.back && s.Template > 0, func(x *small) { x.Template = s.Stable })
	with(q.may.scale, func(x *small) { x.N = 3 - s.N })
	with(q.may.stop && s.Run == 1, func(x *small) { x.Run, x.RunStopped = 2, true })
	with(q.may.drift && s.Weight != 0, func(x *small) { x.Weight, x.LiveWeights = 0, x.LiveWeights|1 })
}

// run visits everything that can be reached; it stops early only at limit edges.
func (q *search) run(init small, limit int) (ids map[node]int32, order []node, rev [][]int32) {
	q.plans, q.broken = map[small]Plan{}, map[string]string{}
	start := node{S: init}
	ids = map[node]int32{start: 0}
	order = []node{start}
	rev = [][]int32{nil}
	for i := 0; i < len(order) && q.edges < limit && !(q.first && len(q.broken) > 0); i++ {
		q.next(order[i], func(m node) {
			q.edges++
			id, ok := ids[m]
			if !ok {
				id = int32(len(order))
				ids[m] = id
				order = append(order, m)
				rev = append(rev, nil)
			}
			rev[id] = append(rev[id], int32(i))
		})
	}
	return ids, order, rev
}

// deadEnd looks for a reachable state from which the controller alone, with pods that
// come up and a data plane that follows, can no longer reach its good end: promoted, or
// back on stable after an abort. Nobody's help counts as a way out, except the resume
// that an endless pause asks for.
func (q *search) deadEnd(order []node, rev [][]int32) string {
	good := make([]bool, len(order))
	var todo []int32
	for i, n := range order {
		if !n.Busy && q.atGoodEnd(n.S) {
			good[i] = true
			todo = append(todo, int32(i))
		}
	}
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, p := range rev[i] {
			a, b := order[p].S, order[i].S
			helped := a.Surprises != b.Surprises || a.Abort && !b.Abort && !order[p].Busy
			if !good[p] && !helped {
				good[p] = true
				todo = append(todo, p)
			}
		}
	}
	for i, n := range order {
		if !good[i] && n.S.Run != 3 {
			return fmt.Sprintf("%+v", n)
		}
	}
	return ""
}

func (q *search) atGoodEnd(s small) bool {
	serving := s.Template
	if s.Abort {
		serving = s.Stable
	}
	return q.serves(&s, serving) && s.Stable == serving && s.Revs[serving].Avail >= s.N && s.Pos == s.Template
}

var (
	w50    = int32(50)
	twoSet = []v1alpha1.CanaryStep{{SetWeight: &w50}, {Pause: &v1alpha1.RolloutPause{}}}
	check  = []v1alpha1.CanaryStep{{SetWeight: &w50}, {Analysis: &v1alpha1.RolloutAnalysis{
		Templates: []v1alpha1.AnalysisTemplateRef{{TemplateName: "ok"}}}}}
)

var (
	auto, byHand = true, false
	few          = int32(1)
	okAnalysis   = &v1alpha1.RolloutAnalysis{Templates: []v1alpha1.AnalysisTemplateRef{{TemplateName: "ok"}}}
	w10          = int32(trialWeight)
	trialSteps   = []v1alpha1.CanaryStep{{SetWeight: &w50}, {Experiment: &v1alpha1.RolloutExperimentStep{
		Templates: []v1alpha1.RolloutExperimentTemplate{{Name: "trial", SpecRef: v1alpha1.CanarySpecRef, Weight: &w10}}}}}
)

// world is one search of `make test`. Each allows a few surprises out of one group, which
// keeps the space finite and small enough to visit whole; `make long` allows one more.
type world struct {
	*arena
	n         int8
	surprises int8
	may       chance
}

func canaryWorld(steps []v1alpha1.CanaryStep, n, surprises int8, may chance) world {
	return world{newArena(steps, nil), n, surprises, may}
}

func blueWorld(b v1alpha1.BlueGreenStrategy, n, surprises int8, may chance) world {
	return world{newBlueArena(b), n, surprises, may}
}

var worlds = map[string]world{
	"weights and a pause, one pod: abort, full promotion":           canaryWorld(twoSet, 1, 3, chance{abort: true, full: true, supersede: true}),
	"weights and a pause, two pods: abort, supersede, back":         canaryWorld(twoSet, 2, 2, chance{abort: true, supersede: true, back: true}),
	"weights and a pause, two pods: pods die, restart, drift":       canaryWorld(twoSet, 2, 2, chance{supersede: true, die: true, forget: true, drift: true}),
	"weights and a pause: an autoscaler changes the count":          canaryWorld(twoSet, 2, 2, chance{abort: true, supersede: true, scale: true}),
	"weights and an analysis that may fail, two pods":               canaryWorld(check, 2, 2, chance{abort: true, supersede: true, forget: true, stop: true}),
	"no steps at all: everything moves by pods and traffic alone":   canaryWorld(nil, 2, 2, chance{abort: true, supersede: true, back: true, forget: true}),
	"weights and a pause, three pods: full promotion and roll back": canaryWorld(twoSet, 3, 2, chance{full: true, supersede: true, back: true}),
	"weights and a pause, two pods: another leader":                 canaryWorld(twoSet, 2, 2, chance{abort: true, supersede: true, lead: true}),
	"stable shrinks with the weight, two pods": {newArena(twoSet, func(c *v1alpha1.CanaryStrategy) { c.DynamicStableScale = true }),
		2, 2, chance{abort: true, supersede: true, back: true, forget: true}},
	"roles that change places, two pods":  {newPingPongArena(twoSet), 2, 3, chance{supersede: true, forget: true}},
	"an experiment with weight, two pods": canaryWorld(trialSteps, 2, 1, chance{abort: true, supersede: true, forget: true}),
	"blue-green at once, two pods":        blueWorld(v1alpha1.BlueGreenStrategy{}, 2, 2, chance{abort: true, supersede: true, back: true, full: true}),
	"blue-green by hand with a small preview": blueWorld(v1alpha1.BlueGreenStrategy{AutoPromotionEnabled: &byHand, PreviewReplicaCount: &few},
		2, 2, chance{abort: true, supersede: true, scale: true, forget: true}),
	"blue-green with an analysis before": blueWorld(v1alpha1.BlueGreenStrategy{PrePromotionAnalysis: okAnalysis}, 1, 2,
		chance{abort: true, supersede: true, stop: true}),
	"blue-green with an analysis after": blueWorld(v1alpha1.BlueGreenStrategy{PostPromotionAnalysis: okAnalysis}, 2, 2,
		chance{abort: true, supersede: true, stop: true, die: true}),
	"blue-green, another leader, pods die": blueWorld(v1alpha1.BlueGreenStrategy{}, 2, 3, chance{abort: true, supersede: true, lead: true, die: true}),
}
