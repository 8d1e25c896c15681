package notify

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/argoproj/notifications-engine/pkg/triggers"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// Bounds of what a status keeps.
const (
	maxPending  = 64
	maxHolding  = 100 // as the published annotation has it
	maxWarned   = 32
	maxProblems = 8
)

// notifiedAnnotation is where the published controller keeps which conditions have been told of.
// It is read, so that whoever changes over is not told again, and never written.
const notifiedAnnotation = "notified.notifications.argoproj.io"

// once begins the hash of a condition that was told of for a value of its oncePer: for good.
const once = "1:"

// Event is something that has happened to an object.
type Event struct {
	Reason, Message string
	Warning         bool
}

// kind is the type of a Kubernetes event, "" for what is none.
func (e Event) kind() string {
	switch {
	case e.Reason == "":
		return ""
	case e.Warning:
		return corev1.EventTypeWarning
	}
	return corev1.EventTypeNormal
}

// Change is what has become of an object.
type Change struct {
	// Object has the annotations and labels that subscribe, and the UID.
	Object metav1.Object
	// Attempt tells a warning from the same one later on, of another update.
	Attempt string
	Events  []Event
	// Subject is the object as it will be; it is asked for only when somebody is to be told.
	Subject func() Subject
	// EventsOnly leaves out what is about the object's state.
	EventsOnly bool
	// Phase, Message and Step are of the object as it will be.
	Phase, Message string
	Step           *int32
	// Status is what is known and under way.
	Status *v1alpha1.NotificationStatus
}

// TriggerName is the published trigger of an event: on-, and hyphens where words begin
// (surfaces.md §3.4).
func TriggerName(reason string) string {
	var b strings.Builder
	runes := []rune(reason)
	for i, r := range runes {
		begins := i > 0 && unicode.IsUpper(r) && (!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1]))
		if begins {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return "on-" + b.String()
}

// Due decides who is to be told of a change. The status that it gives is to be written together
// with the change; it is nil when nobody subscribes and nothing is under way.
func (b *Book) Due(now time.Time, c Change) *v1alpha1.NotificationStatus {
	st := c.Status.DeepCopy()
	if st == nil {
		st = &v1alpha1.NotificationStatus{}
	}
	configs := b.For(c.Object.GetNamespace())
	if !concerns(configs, c.Object) {
		if len(st.Pending) == 0 {
			return nil
		}
		return &v1alpha1.NotificationStatus{Pending: st.Pending}
	}
	d := &deciding{now: now, change: &c, status: st, before: notified(c)}
	d.problems = make([][]string, len(configs))
	for i, scope := range configs {
		d.decide(i, scope)
	}
	d.finish()
	if len(st.Pending)+len(st.Holding)+len(st.Warned)+len(st.Problems) == 0 {
		return nil
	}
	return st
}

// deciding is one decision.
type deciding struct {
	now      time.Time
	change   *Change
	status   *v1alpha1.NotificationStatus
	before   map[string]bool // hashes of conditions that held
	holding  []string
	warned   []string
	problems [][]string // by configuration
	subject  *Subject
}

// notified are the conditions that have been told of.
func notified(c Change) map[string]bool {
	all := map[string]bool{}
	if c.Status != nil {
		for _, h := range c.Status.Holding {
			all[h] = true
		}
		return all
	}
	published := map[string]int64{}
	if json.Unmarshal([]byte(c.Object.GetAnnotations()[notifiedAnnotation]), &published) == nil {
		for key := range published {
			all[short(key)] = true
		}
	}
	return all
}

func (d *deciding) decide(i int, scope Scoped) {
	all, problems := scope.Destinations(d.change.Object)
	for _, p := range problems {
		d.problems[i] = append(d.problems[i], p.String())
	}
	var vars map[string]any
	for _, trigger := range slices.Sorted(maps.Keys(all)) {
		conditions := scope.Triggers[trigger]
		events := d.told(trigger)
		if len(conditions) == 0 || len(events) == 0 && (d.change.EventsOnly || reasons[trigger] || !states(conditions)) {
			continue
		}
		if vars == nil && states(conditions) {
			if d.subject == nil {
				s := d.change.Subject()
				d.subject = &s
			}
			var err error
			if vars, err = scope.Vars(*d.subject); err != nil {
				d.problems[i] = append(d.problems[i], fmt.Sprintf("trigger.%s: %v", trigger, err))
				continue
			}
		}
		results, err := scope.Conditions(trigger, vars)
		if err != nil {
			d.problems[i] = append(d.problems[i], fmt.Sprintf("trigger.%s: %v", trigger, err))
			continue
		}
		for _, r := range results {
			for _, to := range all[trigger] {
				d.weigh(scope, trigger, r, to, events)
			}
		}
	}
}

// told are the events of the change that fire a trigger.
func (d *deciding) told(trigger string) (all []Event) {
	for _, e := range d.change.Events {
		if TriggerName(e.Reason) == trigger && !slices.Contains(all, e) {
			all = append(all, e)
		}
	}
	return all
}

// states reports whether any condition is about the object's state.
func states(list []triggers.Condition) bool {
	return slices.ContainsFunc(list, func(c triggers.Condition) bool { return c.When != "" })
}

// weigh decides whether a condition sends to a recipient now: with its event, or, under a name
// that no event has, when it begins to hold.
func (d *deciding) weigh(scope Scoped, trigger string, r Condition, to Destination, events []Event) {
	if reasons[trigger] || len(events) > 0 || d.change.EventsOnly {
		for _, e := range events {
			if r.Met && d.fresh(scope, e, r, to) {
				d.add(scope, trigger, r, to, e)
			}
		}
		return
	}
	key := fmt.Sprintf("%s:%s:%s:%s", trigger, r.Key, to.Service, to.Recipient)
	if scope.Namespace != "" {
		key = scope.Namespace + ":" + key
	}
	if r.Once != "" {
		key = r.Once + ":" + key
	}
	if r.When == "" || !r.Met {
		return
	}
	hash := short(key)
	if !d.before[hash] && !d.before[once+hash] {
		d.add(scope, trigger, r, to, Event{})
	}
	if r.Once != "" {
		hash = once + hash
	}
	d.holding = append(d.holding, hash)
}

// fresh reports whether an event is to be told of: what is not a warning happens each time, and a
// warning that stands, or comes back, is told once of an update.
func (d *deciding) fresh(scope Scoped, e Event, r Condition, to Destination) bool {
	if !e.Warning {
		return true
	}
	hash := short(scope.Namespace, d.change.Attempt, e.Reason, e.Message, r.Key, to.Service, to.Recipient)
	known := slices.Contains(d.status.Warned, hash) || slices.Contains(d.warned, hash)
	if !known {
		d.warned = append(d.warned, hash)
	}
	return !known
}

func (d *deciding) add(scope Scoped, trigger string, r Condition, to Destination, e Event) {
	d.status.Pending = append(d.status.Pending, v1alpha1.PendingNotification{
		ID: short(string(d.change.Object.GetUID()), scope.Namespace, trigger, r.Key, r.Once, to.Service, to.Recipient, e.Reason, e.Message,
			strconv.FormatInt(d.now.UnixNano(), 36)),
		Trigger: trigger, Templates: r.Send, Service: to.Service, Recipient: to.Recipient, Namespace: scope.Namespace, At: metav1.NewTime(d.now),
		Type: e.kind(), Reason: e.Reason, Event: e.Message, Phase: d.change.Phase, Message: d.change.Message, Step: d.change.Step,
	})
}

// finish bounds what is kept, the newest first.
func (d *deciding) finish() {
	st := d.status
	st.Pending = newest(st.Pending, maxPending)
	st.Warned = newest(append(st.Warned, d.warned...), maxWarned)
	if d.change.EventsOnly {
		return
	}
	var kept []string
	for _, h := range st.Holding {
		if strings.HasPrefix(h, once) && !slices.Contains(d.holding, h) {
			kept = append(kept, h)
		}
	}
	st.Holding = newest(append(kept, d.holding...), maxHolding)
	st.Problems = nil
	for _, p := range common(d.problems) {
		if len(st.Problems) < maxProblems {
			st.Problems = append(st.Problems, p)
		}
	}
}

func newest[T any](list []T, n int) []T {
	if len(list) > n {
		return slices.Clone(list[len(list)-n:])
	}
	return list
}

// common are the problems that every configuration has: what one can serve is none.
func common(lists [][]string) (all []string) {
	for i, list := range lists {
		for _, p := range list {
			shared := !slices.ContainsFunc(lists, func(other []string) bool { return !slices.Contains(other, p) })
			if i == 0 && shared {
				all = append(all, p)
			}
		}
	}
	return all
}

// short names many things in 16 characters.
func short(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}
