package loop

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Key names the object of a pass.
type Key = types.NamespacedName

// ErrGone is what Observe answers when the object is not there, or not ours: the loop
// forgets the key.
var ErrGone = errors.New("the object is gone")

// Outcome is what a plan leaves to the loop.
type Outcome struct {
	// Before is the object as observed, After the same with the next status. The loop
	// writes the difference of their statuses, and nothing when there is none. Of what
	// else is in them it needs only names, UID and version.
	Before, After client.Object
	// Minor says that the difference is of counters, and of what is still under way, which may
	// come a little later: many of them are then written at once, together with the next
	// difference that is not minor, and what is to be told of them is told then.
	Minor bool
	// Hurried says that the actions were what counts. The status follows a second later:
	// others may be waiting to do something as urgent.
	Hurried bool
	// Wake is when to look again without an event; zero means only on events.
	Wake time.Time
	// Events are told once the status is written, each once.
	Events []Event
	// Due is given the events that are news before the status is written, and may add to After;
	// may be nil. It reports whether that is more than minor.
	Due func(news []Event) (due bool)
	// Persisted is called once the status holds everything in After; may be nil.
	Persisted func()
	// Actions are the kinds of the plan's actions; Lines are the same for the log.
	Actions, Lines []string
	// Waiting are the reasons of what is being waited for, and their sentences.
	Waiting, Why []string
}

// Event becomes a Kubernetes event. Type is Normal or Warning.
type Event struct{ Type, Reason, Message string }

// Controller carries one kind of object from facts to its next state. S is what is seen
// and P what is planned.
type Controller[S, P any] struct {
	// Name labels metrics and log lines, such as "rollout".
	Name string
	// Observe reads the world; it writes nothing but adoption. ErrGone ends the pass.
	Observe func(ctx context.Context, key Key, now time.Time) (S, error)
	// Decide is pure (L1).
	Decide func(S) P
	// Apply carries the plan's actions out, as many as it can, and returns what went
	// wrong. Every action stands alone (L3), so the status is written in any case.
	Apply func(ctx context.Context, s S, p P) error
	// Explain says what the plan leaves to the loop.
	Explain func(S, P) Outcome

	// Writer writes statuses; it is the Record's client, so that they are remembered.
	Writer client.Client
	// Subresource is true for kinds whose status is a subresource.
	Subresource bool
	// Record holds the own writes of all controllers that share caches.
	Record *Record
	// Events records events; nil tells none.
	Events record.EventRecorder
	// Metrics counts; nil counts nothing.
	Metrics *Metrics
	// Now is the clock.
	Now func() time.Time
	// Resync is the longest time between two passes of one object; default 15 min.
	Resync time.Duration

	mu    sync.Mutex
	told  map[Key]map[Event]bool
	tries map[Key]int
	held  map[Key]time.Time // since when a minor difference is unwritten
	haste map[Key]time.Time // when the status may be written, after a hurried pass
}

const (
	defaultResync = 15 * time.Minute
	soon          = 10 * time.Millisecond
	later         = 100 * time.Millisecond
	quietRetry    = time.Second
	// minorDelay is how long minor differences are collected: less than a step of a release
	// takes with a mesh that has to follow, and as long as most of what one waits for.
	minorDelay = 4 * time.Second
	// hurriedDelay is how long a status waits after a hurried pass.
	hurriedDelay = time.Second
)

// Backoff is the rate limiter of failed passes: 1 ms doubling to 10 s, per object.
func Backoff() workqueue.TypedRateLimiter[reconcile.Request] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](time.Millisecond, 10*time.Second)
}

// Reconcile makes one pass. It is the method that controller-runtime calls.
func (c *Controller[S, P]) Reconcile(ctx context.Context, r reconcile.Request) (result reconcile.Result, err error) {
	key := r.NamespacedName
	defer func() {
		if p := recover(); p != nil {
			c.Metrics.panicked(c.Name)
			log.FromContext(ctx).Error(fmt.Errorf("%v", p), "a pass panicked", "stack", string(debug.Stack()))
			result, err = reconcile.Result{}, fmt.Errorf("pass of %s %s panicked: %v", c.Name, key, p)
		}
	}()
	ctx = withWriter(ctx, c.id(key))
	seen, err := c.Record.Seen(ctx, c.id(key))
	switch {
	case err != nil:
		return reconcile.Result{}, fmt.Errorf("look for the own writes of %s %s: %w", c.Name, key, err)
	case !seen:
		return reconcile.Result{RequeueAfter: c.patience(key)}, nil
	}
	c.settled(key)
	wake, err := c.pass(ctx, key)
	return c.verdict(key, wake, err)
}

// verdict turns the end of a pass into what the queue does next. What put the object first,
// or last, in the queue does not do so again.
func (c *Controller[S, P]) verdict(key Key, wake time.Duration, err error) (reconcile.Result, error) {
	usual := 0
	again := func(after time.Duration) reconcile.Result {
		return reconcile.Result{RequeueAfter: after, Priority: &usual}
	}
	switch {
	case errors.Is(err, ErrGone):
		c.forget(key)
		return reconcile.Result{}, nil
	case err == nil:
		return again(wake), nil
	case every(err, func(e error) bool { return apierrors.IsConflict(e) || apierrors.IsAlreadyExists(e) }):
		return again(soon), nil
	case every(err, func(e error) bool { return apierrors.IsConflict(e) || apierrors.IsNotFound(e) }):
		// What was written to has gone meanwhile; the event of that is on its way.
		return again(quietRetry), nil
	}
	return reconcile.Result{Priority: &usual}, err
}

// pass is Observe, Decide, Apply, and then the loop's own part.
func (c *Controller[S, P]) pass(ctx context.Context, key Key) (time.Duration, error) {
	start := c.Now()
	s, err := c.Observe(ctx, key, start)
	if err != nil {
		return 0, err
	}
	observed := c.Now()
	p := c.Decide(s)
	decided := c.Now()
	failed := c.Apply(ctx, s, p)
	applied := c.Now()

	o := c.Explain(s, p)
	o.Hurried = o.Hurried && failed == nil
	wrote, due, err := c.settle(ctx, key, &o)
	c.Metrics.pass(c.Name, &o, observed.Sub(start), decided.Sub(observed), applied.Sub(decided), c.Now().Sub(start))
	if len(o.Lines) > 0 || wrote {
		log.FromContext(ctx).Info("pass", "actions", o.Lines, "waiting", o.Why, "status", wrote)
	}
	if !due.IsZero() && (o.Wake.IsZero() || due.Before(o.Wake)) {
		o.Wake = due
	}
	return c.wake(o), errors.Join(failed, err)
}

// settle writes the status and then tells the events, or returns when that is due.
func (c *Controller[S, P]) settle(ctx context.Context, key Key, o *Outcome) (wrote bool, due time.Time, err error) {
	if due := c.hurries(key, o.Hurried); !due.IsZero() {
		return false, due, nil
	}
	news := c.news(key, o.Events)
	if o.Due != nil && o.Due(news) {
		o.Minor = false
	}
	if due := c.holding(key, o); !due.IsZero() && differs(o) {
		return false, due, nil
	}
	patch, err := difference(o)
	if err != nil {
		return false, time.Time{}, fmt.Errorf("compute the status of %s %s: %w", c.Name, key, err)
	}
	if patch != nil && c.hold(key, o) {
		c.untell(key) // what was told last is to be told anew next time
		return false, c.Now().Add(minorDelay), nil
	}
	if patch != nil {
		if err := c.writeStatus(ctx, o, patch); err != nil {
			return false, time.Time{}, fmt.Errorf("write the status of %s %s: %w", c.Name, key, err)
		}
	}
	c.release(key)
	c.tell(key, o, news)
	if o.Persisted != nil {
		o.Persisted()
	}
	return patch != nil, time.Time{}, nil
}

// hurries returns when the status may be written after a hurried pass; zero for now. However
// many such passes there are, the first one counts.
func (c *Controller[S, P]) hurries(key Key, hurried bool) (due time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	due, waits := c.haste[key]
	switch {
	case !waits && !hurried:
		return time.Time{}
	case waits && !c.Now().Before(due):
		delete(c.haste, key)
		return time.Time{}
	case !waits:
		if c.haste == nil {
			c.haste = map[Key]time.Time{}
		}
		due = c.Now().Add(hurriedDelay)
		c.haste[key] = due
	}
	return due
}

// holding returns when the minor difference that is held back is to be written; zero for
// none, and for now.
func (c *Controller[S, P]) holding(key Key, o *Outcome) (due time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	since, held := c.held[key]
	if due = since.Add(minorDelay); held && o.Minor && c.Now().Before(due) {
		return due
	}
	return time.Time{}
}

// hold begins to hold a minor difference back, and reports whether it does.
func (c *Controller[S, P]) hold(key Key, o *Outcome) (held bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, was := c.held[key]; was || !o.Minor {
		return false
	}
	if c.held == nil {
		c.held = map[Key]time.Time{}
	}
	c.held[key] = c.Now()
	return true
}

// release ends the holding back: everything is written, or there is nothing to write.
func (c *Controller[S, P]) release(key Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.held, key)
}

// news are the events of the plan, each once, except those that the last pass has told.
func (c *Controller[S, P]) news(key Key, all []Event) (news []Event) {
	for _, e := range all {
		if !c.wasTold(key, e) && !slices.Contains(news, e) {
			news = append(news, e)
		}
	}
	return news
}

// tell emits what is news, and remembers what the plan had to tell.
func (c *Controller[S, P]) tell(key Key, o *Outcome, news []Event) {
	for _, e := range news {
		if c.Events != nil {
			c.Events.Event(o.Before, e.Type, e.Reason, e.Message)
		}
	}
	now := map[Event]bool{}
	for _, e := range o.Events {
		now[e] = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.told == nil {
		c.told = map[Key]map[Event]bool{}
	}
	if delete(c.told, key); len(now) > 0 {
		c.told[key] = now
	}
}

func (c *Controller[S, P]) untell(key Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.told, key)
}

func (c *Controller[S, P]) wasTold(key Key, e Event) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.told[key][e]
}

func (c *Controller[S, P]) wake(o Outcome) time.Duration {
	resync := c.Resync
	if resync == 0 {
		resync = defaultResync
	}
	if o.Wake.IsZero() {
		return resync
	}
	return min(max(o.Wake.Sub(c.Now()), time.Millisecond), resync)
}

// patience is how long to wait before the next look for own writes: 10 ms at first,
// then up to 100 ms. The watch event that brings the write usually comes first.
func (c *Controller[S, P]) patience(key Key) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tries == nil {
		c.tries = map[Key]int{}
	}
	c.tries[key]++
	return min(time.Duration(c.tries[key])*soon, later)
}

func (c *Controller[S, P]) settled(key Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.tries, key)
}

func (c *Controller[S, P]) forget(key Key) {
	c.Record.forget(c.id(key))
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.told, key)
	delete(c.tries, key)
	delete(c.held, key)
	delete(c.haste, key)
}

func (c *Controller[S, P]) id(key Key) Writer { return Writer{Controller: c.Name, Key: key} }

// every reports whether all errors that were joined are of one sort.
func every(err error, is func(error) bool) bool {
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		return is(err)
	}
	for _, e := range joined.Unwrap() {
		if !every(e, is) {
			return false
		}
	}
	return true
}
