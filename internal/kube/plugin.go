package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/loop"
	"github.com/penstock-io/penstock/internal/rollout"
	"github.com/penstock-io/penstock/internal/step"
)

// Plugins calls step plugins in the background, a bounded number at a time, and keeps
// their answers until the status holds them. A crash loses only that: the step is then
// called again.
type Plugins struct {
	// Steps has the plugins; nil knows none.
	Steps step.Plugin
	// Timeout bounds one call; default 1 min.
	Timeout time.Duration
	// Wake asks for a pass of the Rollout.
	Wake func(context.Context, loop.Key)
	// Now is the clock.
	Now func() time.Time

	ctx   context.Context
	stop  context.CancelFunc
	slots chan struct{}
	mu    sync.Mutex
	calls map[loop.Key]*calling
	work  sync.WaitGroup
}

// calling is what is held of one attempt of a Rollout.
type calling struct {
	attempt attempt
	ctx     context.Context
	cancel  context.CancelFunc
	busy    map[task]bool
	arrived []rollout.Answer
}

// attempt is one try at one update. An answer that comes after its end is for nobody.
type attempt struct {
	uid         types.UID
	hash, steps string
	begun       int64
}

// task is one operation of one step.
type task struct {
	index     int32
	name      string
	operation v1alpha1.StepPluginOperation
}

const (
	defaultCallTimeout = time.Minute
	defaultCallers     = 10
)

// NewPlugins makes a pool of so many callers, 0 for 10. Close ends it.
func NewPlugins(callers int, now func() time.Time) *Plugins {
	if callers <= 0 {
		callers = defaultCallers
	}
	p := &Plugins{Timeout: defaultCallTimeout, Now: now, calls: map[loop.Key]*calling{},
		slots: make(chan struct{}, callers), Wake: func(context.Context, loop.Key) {}}
	p.ctx, p.stop = context.WithCancel(context.Background())
	return p
}

// Close cancels all calls and waits for those that honour it.
func (p *Plugins) Close() {
	p.mu.Lock()
	p.stop()
	p.mu.Unlock()
	p.work.Wait()
}

func attemptOf(ro *v1alpha1.Rollout) attempt {
	a := attempt{uid: ro.UID, hash: ro.Status.CurrentPodHash, steps: ro.Status.CurrentStepHash}
	if d := ro.Status.Duration; d != nil && d.RolloutStartedAt != nil {
		a.begun = d.RolloutStartedAt.Unix()
	}
	return a
}

// answers are those that the status does not hold yet. What was held of an attempt that
// is over is dropped.
func (p *Plugins) answers(key loop.Key, a attempt) []rollout.Answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.calls[key]
	switch {
	case c == nil:
		return nil
	case c.attempt != a:
		c.cancel()
		delete(p.calls, key)
		return nil
	}
	return slices.Clone(c.arrived)
}

// drop forgets the first n answers, which are persisted.
func (p *Plugins) drop(key loop.Key, a attempt, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.calls[key]; c != nil && c.attempt == a && len(c.arrived) >= n {
		c.arrived = slices.Clone(c.arrived[n:])
	}
}

func (p *Plugins) forget(key loop.Key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.calls[key]; c != nil {
		c.cancel()
		delete(p.calls, key)
	}
}

// start makes a call, unless the same one is under way, and returns at once.
func (p *Plugins) start(key loop.Key, call step.Call) {
	t, a := task{call.Index, call.Name, call.Operation}, attemptOf(call.Rollout)
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.calls[key]
	if c == nil || c.attempt != a {
		if c != nil {
			c.cancel()
		}
		c = &calling{attempt: a, busy: map[task]bool{}}
		c.ctx, c.cancel = context.WithCancel(p.ctx)
		p.calls[key] = c
	}
	if c.busy[t] || p.ctx.Err() != nil {
		return
	}
	c.busy[t] = true
	p.work.Go(func() { p.run(key, c, t, call) })
}

// run makes one call within the bound. A plugin that does not return in time has failed,
// but stays busy until it does: its late answer counts, and it is never called twice at
// the same time.
func (p *Plugins) run(key loop.Key, c *calling, t task, call step.Call) {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-c.ctx.Done():
		return
	}
	ctx, cancel := context.WithTimeout(c.ctx, p.Timeout)
	defer cancel()
	done := make(chan rollout.Answer, 1)
	go func() { done <- p.ask(ctx, call) }()
	select {
	case a := <-done:
		p.arrive(key, c, t, a, true)
	case <-ctx.Done():
		if c.ctx.Err() != nil {
			return
		}
		a := p.answer(call)
		a.Err = fmt.Sprintf("no answer within %s", p.Timeout)
		p.arrive(key, c, t, a, false)
		go func() { p.arrive(key, c, t, <-done, true) }()
	}
}

func (p *Plugins) answer(call step.Call) rollout.Answer {
	return rollout.Answer{Index: call.Index, Name: call.Name, Operation: call.Operation, At: p.Now()}
}

// ask calls the plugin. A panic of it is an error of it.
func (p *Plugins) ask(ctx context.Context, call step.Call) (a rollout.Answer) {
	a = p.answer(call)
	defer func() {
		if v := recover(); v != nil {
			log.FromContext(ctx).Error(fmt.Errorf("%v", v), "a step plugin panicked", "plugin", call.Name, "stack", string(debug.Stack()))
			a = p.answer(call)
			a.Err = fmt.Sprintf("the plugin panicked: %v", v)
		}
	}()
	var reply step.Reply
	err := step.ErrUnknown
	if p.Steps != nil {
		reply, err = p.Steps.Call(ctx, call)
	}
	a.At = p.Now()
	switch {
	case errors.Is(err, step.ErrDisabled):
		a.Disabled = true
		return a
	case errors.Is(err, step.ErrUnknown):
		a.Unknown = true
		a.Err = fmt.Sprintf("could not create step plugin at index %d : plugin %s not configured in configmap", call.Index, call.Name)
		return a
	case err == nil:
		err = check(reply)
	}
	if err != nil {
		a.Err = err.Error()
		return a
	}
	a.Phase, a.Message, a.RequeueAfter, a.State = reply.Phase, reply.Message, reply.RequeueAfter, reply.State
	return a
}

// check refuses what the status could not hold.
func check(r step.Reply) error {
	switch r.Phase {
	case "", v1alpha1.StepPluginPhaseRunning, v1alpha1.StepPluginPhaseSuccessful, v1alpha1.StepPluginPhaseFailed, v1alpha1.StepPluginPhaseError:
	default:
		return fmt.Errorf("phase %q is none of Running, Successful, Failed and Error", r.Phase)
	}
	var state map[string]any
	if len(r.State) == 0 {
		return nil
	}
	if err := json.Unmarshal(r.State, &state); err != nil {
		return fmt.Errorf("the state is not a JSON object: %w", err)
	}
	return nil
}

// arrive keeps an answer and asks for a pass; last says that the call is over.
func (p *Plugins) arrive(key loop.Key, c *calling, t task, a rollout.Answer, last bool) {
	p.mu.Lock()
	if last {
		delete(c.busy, t)
	}
	gone := c.ctx.Err() != nil
	if !gone {
		c.arrived = append(c.arrived, a)
	}
	p.mu.Unlock()
	if !gone {
		p.Wake(c.ctx, key)
	}
}

// callPlugin starts the call that the plan asks for.
func (r *Rollouts) callPlugin(s *Seen, a rollout.CallPlugin) error {
	if r.Plugins == nil {
		return errors.New("this controller calls no plugins")
	}
	call := step.Call{Rollout: s.Rollout.DeepCopy(), Index: a.Index, Name: a.Name, Operation: a.Operation}
	c := s.Rollout.Spec.Strategy.Canary
	if c == nil || a.Index < 0 || int(a.Index) >= len(c.Steps) || c.Steps[a.Index].Plugin == nil || c.Steps[a.Index].Plugin.Name != a.Name {
		return fmt.Errorf("step %d is not of plugin %s", a.Index+1, a.Name)
	}
	call.Config = c.Steps[a.Index].Plugin.Config
	for _, e := range s.Rollout.Status.Canary.StepPluginStatuses {
		// To end something a plugin needs what it knew while it ran.
		mine := e.Operation == a.Operation || e.Operation == v1alpha1.StepPluginOperationRun
		if e.Index == a.Index && e.Name == a.Name && mine && len(e.Status) > 0 {
			call.State = e.Status
		}
	}
	r.Plugins.start(loop.Key{Namespace: s.Rollout.Namespace, Name: s.Rollout.Name}, call)
	return nil
}
