package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/loop"
	"github.com/penstock-io/penstock/internal/notify"
	"github.com/penstock-io/penstock/internal/rollout"
)

// Notices have people told of what passes do: what is due goes into the status together with the
// change, and to the courier once it is persisted. A nil one tells nobody.
type Notices struct {
	Book    *notify.Book
	Courier *notify.Courier
	// Ready is closed once the configuration has been read.
	Ready <-chan struct{}
	Now   func() time.Time

	mu sync.Mutex
	// aside are events that actions told, until the status is written.
	aside map[types.UID][]notify.Event
	// last are the Rollouts that somebody subscribes to, for when they are gone.
	last map[loop.Key]*noticed
}

// NewNotices makes Notices.
func NewNotices(b *notify.Book, c *notify.Courier, ready <-chan struct{}, now func() time.Time) *Notices {
	return &Notices{Book: b, Courier: c, Ready: ready, Now: now, aside: map[types.UID][]notify.Event{}, last: map[loop.Key]*noticed{}}
}

// noticed is an object that passes change.
type noticed struct {
	kind   string
	object client.Object
	change notify.Change
	// more are events that others were told of, and those others; nil for none.
	more func() *notify.Change
	// put sets the status that is to be written.
	put func(*v1alpha1.NotificationStatus)
}

// attach lets an outcome tell of itself.
func (n *Notices) attach(o *loop.Outcome, about *noticed) {
	if n == nil {
		return
	}
	key, uid, was := client.ObjectKeyFromObject(about.object), about.object.GetUID(), about.change.Status
	var now *v1alpha1.NotificationStatus
	o.Due = func(news []loop.Event) (due bool) {
		now = n.due(about, news)
		about.put(now)
		return !reflect.DeepEqual(was, now)
	}
	persisted := o.Persisted
	o.Persisted = func() {
		if persisted != nil {
			persisted()
		}
		n.mu.Lock()
		delete(n.aside, uid)
		if delete(n.last, key); about.kind == "Rollout" && n.Book.Concerns(about.object) {
			n.last[key] = about
		}
		n.mu.Unlock()
		n.Courier.Post(about.kind, key, uid, now, about.change.Subject)
	}
}

func (n *Notices) due(about *noticed, news []loop.Event) *v1alpha1.NotificationStatus {
	<-n.Ready
	c := about.change
	c.Status = n.Courier.Settle(about.object.GetUID(), c.Status)
	for _, e := range news {
		c.Events = append(c.Events, notify.Event{Reason: e.Reason, Message: e.Message, Warning: e.Type == corev1.EventTypeWarning})
	}
	n.mu.Lock()
	c.Events = append(c.Events, n.aside[about.object.GetUID()]...)
	n.mu.Unlock()
	if about.more != nil {
		if other := about.more(); other != nil {
			other.Status = c.Status
			c.Status = n.Book.Due(n.Now(), *other)
			// One who subscribes to everything hears of it once.
			c.Events = slices.DeleteFunc(c.Events, func(e notify.Event) bool { return slices.Contains(other.Events, e) })
		}
	}
	return n.Book.Due(n.Now(), c)
}

// tell keeps what an action has done until it can be told with the status.
func (n *Notices) tell(uid types.UID, note rollout.Note) {
	switch {
	case n == nil, note.Reason == rollout.RolloutUpdated: // which the status tells of
		return
	case note.Reason == rollout.RolloutAddedToInformer: // the start of a controller is no news of a Rollout
		return
	}
	e := notify.Event{Reason: string(note.Reason), Message: note.Message, Warning: note.Kind == rollout.Warning}
	n.mu.Lock()
	defer n.mu.Unlock()
	if !slices.Contains(n.aside[uid], e) && len(n.aside[uid]) < maxAside {
		n.aside[uid] = append(n.aside[uid], e)
	}
}

// maxAside bounds what waits for a status that cannot be written.
const maxAside = 32

// gone tells of a Rollout that has been deleted. There is no status any more that could keep what
// is due: it is sent at once.
func (n *Notices) gone(key loop.Key, uid types.UID, note rollout.Note) {
	if n == nil {
		return
	}
	n.mu.Lock()
	about := n.last[key]
	delete(n.last, key)
	delete(n.aside, uid)
	n.mu.Unlock()
	if about != nil && about.object.GetUID() == uid {
		c := about.change
		c.Status, c.Events, c.EventsOnly = nil, []notify.Event{{Reason: string(note.Reason), Message: note.Message}}, true
		n.Courier.Post(about.kind, key, uid, n.Book.Due(n.Now(), c), c.Subject)
	}
	n.Courier.Forget(uid)
}

// notices let the outcome of a Rollout's pass tell of itself.
func (r *Rollouts) notices(o *loop.Outcome, s *Seen, p *rollout.Plan, after *v1alpha1.Rollout) {
	if r.Notices == nil {
		return
	}
	before, now, step := &s.Rollout.Status, &p.Status, int32(-1)
	if now.CurrentStepIndex != nil {
		step = *now.CurrentStepIndex
	}
	subject := func() notify.Subject { return subjectOf(s, p) }
	about := &noticed{kind: "Rollout", object: s.Rollout, put: func(st *v1alpha1.NotificationStatus) { after.Status.Notifications = st }}
	about.change = notify.Change{
		Object: s.Rollout, Attempt: fmt.Sprint(attemptOf(s.Rollout), step),
		Subject: subject, Phase: string(now.Phase), Message: now.Message, Step: now.CurrentStepIndex, Status: before.Notifications,
		Events: turns(before, now, numberOf(s, p)),
	}
	r.Notices.attach(o, about)
}

// numberOf is the number of the wanted revision, which an action may just have given it.
func numberOf(s *Seen, p *rollout.Plan) int64 {
	for _, a := range p.Actions {
		if n, is := a.(rollout.SetNumber); is {
			return n.Number
		}
	}
	return s.Snapshot.Number
}

// turns are what the status tells of itself and is worth telling: what has no event of its own, and
// an update, whose event comes from an action that may have been before a crash.
func turns(before, now *v1alpha1.RolloutStatus, number int64) (all []notify.Event) {
	if now.CurrentPodHash != before.CurrentPodHash && now.CurrentPodHash != "" {
		all = append(all, notify.Event{Reason: string(rollout.RolloutUpdated), Message: fmt.Sprintf("Rollout updated to revision %d", number)})
	}
	if before.Phase != "" && before.Phase != now.Phase {
		switch now.Phase {
		case v1alpha1.RolloutPhaseDegraded:
			all = append(all, notify.Event{Reason: notify.Degraded, Message: now.Message})
		case v1alpha1.RolloutPhaseHealthy:
			all = append(all, notify.Event{Reason: notify.Healthy})
		}
	}
	ended := func(st *v1alpha1.RolloutStatus) v1alpha1.CompletionStatus {
		if st.Duration == nil {
			return ""
		}
		return st.Duration.CompletionStatus
	}
	if e := ended(now); e != ended(before) && (e == v1alpha1.CompletionPromoted || e == v1alpha1.CompletionFastPromoted) && before.StableRS != "" {
		all = append(all, notify.Event{Reason: notify.Promoted})
	}
	return all
}

// subjectOf is a Rollout as it will be, whole: with the template that a workload gives it.
func subjectOf(s *Seen, p *rollout.Plan) (subject notify.Subject) {
	ro := v1alpha1.Rollout{ObjectMeta: s.Rollout.ObjectMeta, Spec: s.Rollout.Spec, Status: p.Status}
	ro.TypeMeta.APIVersion, ro.TypeMeta.Kind = v1alpha1.GroupVersion.String(), "Rollout"
	ro.Spec.TemplateResolvedFromRef, ro.Spec.SelectorResolvedFromRef = false, false
	subject.Rollout = treeOf(&ro)
	for _, run := range s.Runs {
		if run.Labels[hashLabel] == p.Status.CurrentPodHash {
			subject.Runs = append(subject.Runs, run)
		}
	}
	notify.NewestFirst(subject.Runs)
	return subject
}

// treeOf is an object as JSON has it. Our own types can always be written.
func treeOf(o any) (tree map[string]any) {
	text, err := json.Marshal(o)
	if err == nil {
		_ = json.Unmarshal(text, &tree)
	}
	return tree
}

// notices let the outcome of an AnalysisRun's pass tell of itself. What its owner tells of it is
// left to the owner.
func (r *Runs) notices(o *loop.Outcome, s RunSeen, after *v1alpha1.AnalysisRun) {
	if r.Notices == nil || o.After == nil {
		return
	}
	about := &noticed{kind: "AnalysisRun", object: s.Run, put: func(st *v1alpha1.NotificationStatus) { after.Status.Notifications = st }}
	about.change = notify.Change{Object: s.Run, Phase: string(after.Status.Phase), Message: after.Status.Message, Status: s.Run.Status.Notifications,
		Subject: func() notify.Subject {
			run := s.Run.DeepCopy()
			run.TypeMeta.APIVersion, run.TypeMeta.Kind, run.Status = v1alpha1.GroupVersion.String(), "AnalysisRun", after.Status
			return notify.Subject{Rollout: r.owner(s.Run, run), Runs: []*v1alpha1.AnalysisRun{run}}
		}}
	r.Notices.attach(o, about)
	if controllerOf(s.Run) == "" {
		return
	}
	due := o.Due
	o.Due = func(news []loop.Event) bool {
		return due(slices.DeleteFunc(slices.Clone(news), func(e loop.Event) bool { return strings.HasPrefix(e.Reason, string(rollout.AnalysisRunPrefix)) }))
	}
}

// owner is the Rollout that owns an object, or, where there is none, what stands in for it, as
// published: the object itself.
func (c Clients) owner(o client.Object, instead any) map[string]any {
	if ro := c.rolloutOf(o); ro != nil {
		return treeOf(ro)
	}
	return treeOf(instead)
}

func (c Clients) rolloutOf(o client.Object) *v1alpha1.Rollout {
	for _, ref := range o.GetOwnerReferences() {
		ro := &v1alpha1.Rollout{}
		if ref.Kind == "Rollout" && c.Reader.Get(context.Background(), loop.Key{Namespace: o.GetNamespace(), Name: ref.Name}, ro) == nil && ro.UID == ref.UID {
			return ro
		}
	}
	return nil
}

// notices let the outcome of an Experiment's pass tell of itself, and its Rollout's subscribers
// of what that is told.
func (e *Experiments) notices(o *loop.Outcome, s ExperimentSeen, owners []loop.Event, after *v1alpha1.Experiment) {
	if e.Notices == nil {
		return
	}
	tree := func() notify.Subject {
		x := after.DeepCopy()
		x.TypeMeta.APIVersion, x.TypeMeta.Kind = v1alpha1.GroupVersion.String(), "Experiment"
		return notify.Subject{Rollout: e.owner(s.Experiment, x), Experiment: treeOf(x)}
	}
	about := &noticed{kind: "Experiment", object: s.Experiment, put: func(st *v1alpha1.NotificationStatus) { after.Status.Notifications = st }}
	about.change = notify.Change{Object: s.Experiment, Phase: string(after.Status.Phase), Message: after.Status.Message, Status: s.Experiment.Status.Notifications, Subject: tree}
	if len(owners) > 0 {
		about.more = func() *notify.Change {
			ro := e.rolloutOf(s.Experiment)
			if ro == nil {
				return nil
			}
			c := about.change
			c.Object, c.EventsOnly = ro, true
			for _, event := range owners {
				c.Events = append(c.Events, notify.Event{Reason: event.Reason, Message: event.Message, Warning: event.Type == corev1.EventTypeWarning})
			}
			return &c
		}
	}
	e.Notices.attach(o, about)
}
