package notify

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/argoproj/notifications-engine/pkg/services"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
)

const (
	// lanes are the messages under way to one service at a time.
	lanes = 8
	// patience is how long a call may take before others of its service go on beside it.
	patience = time.Minute
	// firstWait doubles up to longestWait between tries.
	firstWait   = time.Second
	longestWait = 5 * time.Minute
	// giveUpAfter is how old a message may get.
	giveUpAfter = 6 * time.Hour
	// maxFailure bounds what is kept of an error, in bytes.
	maxFailure = 200
)

// Letter is a message on its way.
type Letter struct {
	v1alpha1.PendingNotification
	// Kind, Key and UID are of the object that it is about.
	Kind string
	Key  types.NamespacedName
	UID  types.UID
	// Subject is what it is made of.
	Subject Subject
}

// Courier delivers messages, outside of passes: what is slow, or does not answer, holds up
// nobody. Of one object to one recipient they arrive in order.
type Courier struct {
	Book *Book
	// Wake asks for a pass of an object, whose status is to learn how a message fared.
	Wake func(kind string, key types.NamespacedName)
	// Sent is told how each try went, and how long it took; may be nil.
	Sent func(l *Letter, took time.Duration, err error)
	// Trouble is told when a message has failed for the first time, and for good; may be nil.
	Trouble func(l *Letter, text string)
	Now     func() time.Time
	// Journal knows what was sent before the process began; may be nil.
	Journal *Journal

	ctx    context.Context
	cancel context.CancelFunc
	wait   sync.WaitGroup

	mu      sync.Mutex
	roads   map[road][]*Letter
	fates   map[types.UID]map[string]fate // what the status does not say yet
	busy    map[string]chan struct{}      // by service
	changed chan struct{}                 // closed when the configuration is another one
}

// road is what one letter after the other goes.
type road struct {
	uid                types.UID
	service, recipient string
	namespace          string
	// id is that of a message which cannot be made, and goes by itself; "" for all others.
	id string
}

// fate is how a message has fared.
type fate struct {
	over    bool // delivered, or given up
	failure string
}

// NewCourier makes a Courier that works until Close.
func NewCourier(b *Book, wake func(kind string, key types.NamespacedName), now func() time.Time) *Courier {
	c := &Courier{Book: b, Wake: wake, Now: now, roads: map[road][]*Letter{}, fates: map[types.UID]map[string]fate{},
		busy: map[string]chan struct{}{}, changed: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// Close ends what waits. A call that is under way is given a moment.
func (c *Courier) Close() {
	c.mu.Lock()
	c.cancel()
	c.mu.Unlock()
	c.wait.Wait()
}

// Retry tries at once what waits for another try: the configuration has changed.
func (c *Courier) Retry() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.changed)
	c.changed = make(chan struct{})
}

// Settle takes what is over out of a status, and notes what has failed so far.
func (c *Courier) Settle(uid types.UID, st *v1alpha1.NotificationStatus) *v1alpha1.NotificationStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	fates := c.fates[uid]
	if st == nil || len(fates) == 0 {
		return st
	}
	st = st.DeepCopy()
	st.Pending = slices.DeleteFunc(st.Pending, func(p v1alpha1.PendingNotification) bool { return fates[p.ID].over })
	for i := range st.Pending {
		p := &st.Pending[i]
		p.Failure = cmp.Or(fates[p.ID].failure, p.Failure)
	}
	return st
}

// Post takes what a status says is pending, and is persisted. What is under way already stays so.
func (c *Courier) Post(kind string, key types.NamespacedName, uid types.UID, st *v1alpha1.NotificationStatus, subject func() Subject) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var pending []v1alpha1.PendingNotification
	if st != nil {
		pending = st.Pending
	}
	for id, f := range c.fates[uid] { // what the status does not name any more is settled
		named := slices.ContainsFunc(pending, func(p v1alpha1.PendingNotification) bool { return p.ID == id })
		if f.over && !named {
			delete(c.fates[uid], id)
		}
	}
	if len(c.fates[uid]) == 0 {
		delete(c.fates, uid)
	}
	var s *Subject
	for _, p := range pending {
		if _, known := c.fates[uid][p.ID]; known || c.ctx.Err() != nil {
			continue
		}
		if s == nil {
			s = ptr.To(subject())
		}
		if c.fates[uid] == nil {
			c.fates[uid] = map[string]fate{}
		}
		c.fates[uid][p.ID] = fate{over: c.Journal.Has(p.ID)}
		if c.fates[uid][p.ID].over {
			c.wait.Go(func() { c.Wake(kind, key) })
			continue
		}
		c.send(&Letter{PendingNotification: p, Kind: kind, Key: key, UID: uid, Subject: s.at(p)}, "")
	}
}

// at is the subject as it was when the message became due.
func (s Subject) at(p v1alpha1.PendingNotification) Subject {
	s.Event = p.Event
	status, _ := s.Rollout["status"].(map[string]any)
	if status == nil {
		return s
	}
	then := map[string]any{}
	for k, v := range status {
		then[k] = v
	}
	delete(then, "notifications")
	for k, v := range map[string]string{"phase": p.Phase, "message": p.Message} {
		if delete(then, k); v != "" {
			then[k] = v
		}
	}
	if p.Step != nil {
		then["currentStepIndex"] = float64(*p.Step)
	}
	tree := map[string]any{}
	for k, v := range s.Rollout {
		tree[k] = v
	}
	tree["status"] = then
	s.Rollout = tree
	return s
}

// send puts a letter on its road; c.mu is held.
func (c *Courier) send(l *Letter, id string) {
	r := road{l.UID, l.Service, l.Recipient, l.Namespace, id}
	c.roads[r] = append(c.roads[r], l)
	if len(c.roads[r]) == 1 {
		c.wait.Go(func() { c.drive(r) })
	}
}

// drive delivers one letter of a road after the other.
func (c *Courier) drive(r road) {
	for {
		c.mu.Lock()
		if len(c.roads[r]) == 0 || c.ctx.Err() != nil {
			delete(c.roads, r)
			c.mu.Unlock()
			return
		}
		l := c.roads[r][0]
		c.mu.Unlock()
		switch to := (Destination{Service: l.Service, Recipient: l.Recipient}); {
		case r.id == "" && !c.Book.of(l.Namespace).makes(l, to):
			c.mu.Lock()
			c.send(l, l.ID) // what cannot be made keeps nothing else from arriving
			c.mu.Unlock()
		case !c.deliver(l):
			return
		}
		c.mu.Lock()
		c.roads[r] = c.roads[r][1:]
		c.mu.Unlock()
	}
}

// deliver tries until the letter is over, and reports whether it is: not, when the courier ends.
func (c *Courier) deliver(l *Letter) (over bool) {
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		c.mu.Lock()
		changed := c.changed
		c.mu.Unlock()
		err, ended := c.try(l)
		switch {
		case ended:
			return false
		case err == nil:
			c.Journal.Sent(l.ID)
			c.note(l, fate{over: true})
			return true
		case c.Now().Sub(l.At.Time) > giveUpAfter:
			c.trouble(l, fmt.Sprintf("%v; it was tried for %s and is given up", err, giveUpAfter))
			c.note(l, fate{over: true})
			return true
		}
		if wait == firstWait {
			c.trouble(l, fmt.Sprintf("%v; it is tried again for %s", err, giveUpAfter))
		}
		c.note(l, fate{failure: err.Error()})
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-changed:
		case <-c.ctx.Done():
			return false
		}
		timer.Stop()
	}
}

// try makes the message and sends it. A call that takes long lets others of its service go on,
// but not those of its road: its answer still counts.
func (c *Courier) try(l *Letter) (err error, ended bool) {
	free, ok := c.enter(l.Service)
	if !ok {
		return nil, true
	}
	start, done := c.Now(), make(chan error, 1)
	config := c.Book.of(l.Namespace)
	to := Destination{Service: l.Service, Recipient: l.Recipient}
	go func() { done <- config.message(l, to) }()
	slow := time.AfterFunc(patience, free)
	select {
	case err = <-done:
	case <-c.ctx.Done():
		select { // what is under way may be there already
		case err = <-done:
		case <-time.After(firstWait):
			ended = true
		}
	}
	if slow.Stop() {
		free()
	}
	if err != nil {
		err = config.shown(err)
	}
	if c.Sent != nil && !ended {
		c.Sent(l, c.Now().Sub(start), err)
	}
	return err, ended
}

func (c *Courier) trouble(l *Letter, why string) {
	if c.Trouble != nil {
		to := strings.TrimSuffix(l.Service+":"+l.Recipient, ":")
		c.Trouble(l, fmt.Sprintf("Could not tell %s of %s: %s.", to, l.Trigger, why))
	}
}

// enter waits for a place among the messages to a service.
func (c *Courier) enter(service string) (free func(), ok bool) {
	c.mu.Lock()
	places := c.busy[service]
	if places == nil {
		places = make(chan struct{}, lanes)
		c.busy[service] = places
	}
	c.mu.Unlock()
	select {
	case places <- struct{}{}:
		return func() { <-places }, c.ctx.Err() == nil
	case <-c.ctx.Done():
		return nil, false
	}
}

// note keeps how a message has fared until the status says so, and asks for a pass where that is
// news.
func (c *Courier) note(l *Letter, f fate) {
	c.mu.Lock()
	was, there := c.fates[l.UID][l.ID]
	if there {
		c.fates[l.UID][l.ID] = f
	}
	c.mu.Unlock()
	if there && (f.over || was.failure == "") {
		c.Wake(l.Kind, l.Key)
	}
}

// Forget drops what is known of an object that is gone; what is under way is still delivered.
func (c *Courier) Forget(uid types.UID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.fates, uid)
}

// makes reports whether a message can be made.
func (c *Config) makes(l *Letter, to Destination) bool {
	_, err := c.Message(l.Templates, l.Subject, to)
	return err == nil
}

// message makes a message and sends it.
func (c *Config) message(l *Letter, to Destination) error {
	n, err := c.Message(l.Templates, l.Subject, to)
	if err != nil {
		return err
	}
	return c.Send(l.ID, n, to)
}

// shown is an error that may be read by all who see the object.
func (c *Config) shown(err error) error {
	text := metric.Redact(err.Error(), c.hidden)
	if len(text) > maxFailure {
		text = text[:maxFailure] + "…"
	}
	return failed(text)
}

type failed string

func (f failed) Error() string { return string(f) }

var _ services.NotificationService = (*webhook)(nil)
