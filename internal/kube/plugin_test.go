package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/loop"
	"github.com/penstock-io/penstock/internal/rollout"
	"github.com/penstock-io/penstock/internal/step"
)

// judge is a step plugin that does as it is told, and remembers what it was told.
type judge struct {
	mu     sync.Mutex
	calls  []step.Call
	answer func(context.Context, step.Call) (step.Reply, error)
}

func (j *judge) Call(ctx context.Context, c step.Call) (step.Reply, error) {
	j.mu.Lock()
	j.calls = append(j.calls, c)
	j.mu.Unlock()
	return j.answer(ctx, c)
}

// off is a plugin that is switched off.
type off struct{}

func (off) Call(context.Context, step.Call) (step.Reply, error) {
	return step.Reply{}, fmt.Errorf("plugin: %w", step.ErrDisabled)
}

// asked are the calls in short: "Run 1", "Abort 2".
func (j *judge) asked() (list []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, c := range j.calls {
		list = append(list, fmt.Sprintf("%s %d", c.Operation, c.Index))
	}
	return list
}

func says(phase v1alpha1.StepPluginPhase, more ...func(*step.Reply)) func(context.Context, step.Call) (step.Reply, error) {
	return func(context.Context, step.Call) (step.Reply, error) {
		r := step.Reply{Phase: phase, Message: "so be it"}
		for _, m := range more {
			m(&r)
		}
		return r, nil
	}
}

func run(index int32) rollout.CallPlugin {
	return rollout.CallPlugin{Index: index, Name: "acme/judge", Operation: v1alpha1.StepPluginOperationRun}
}

// judged is a shop whose steps are two plugins, and a way to wait for their answers.
func judged(t *testing.T, j *judge) (w *world, answered func()) {
	w = shop(t, func(ro *v1alpha1.Rollout) {
		plugin := v1alpha1.CanaryStep{Plugin: &v1alpha1.PluginStep{Name: "acme/judge", Config: json.RawMessage(`{"limit":3}`)}}
		ro.Spec.Strategy.Canary.Steps = []v1alpha1.CanaryStep{plugin, plugin}
	})
	woken := make(chan loop.Key, 100)
	w.rollouts.Plugins.Steps = step.Table{"acme/judge": j}
	w.rollouts.Plugins.Wake = func(_ context.Context, key loop.Key) { woken <- key }
	return w, func() {
		t.Helper()
		if key := <-woken; key != webKey {
			t.Errorf("woke %s", key)
		}
	}
}

// workJudged makes passes, and waits for the answers of the plugins between them.
func (w *world) workJudged(passes int, answered func()) {
	w.t.Helper()
	for range passes {
		w.work(1)
		for w.rollouts.Plugins.busy(webKey) {
			answered()
		}
	}
}

func (p *Plugins) busy(key loop.Key) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[key] != nil && len(p.calls[key].busy) > 0
}

// Covers: edge 159.
func TestAnswersOfAStepPlugin(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	plain := rollout.Answer{Name: "acme/judge", Operation: v1alpha1.StepPluginOperationRun, At: at}
	for name, c := range map[string]struct {
		answer func(context.Context, step.Call) (step.Reply, error)
		given  func(*Plugins)
		want   func(*rollout.Answer)
	}{
		"it is through": {answer: says("Successful"), want: func(a *rollout.Answer) { a.Phase, a.Message = "Successful", "so be it" }},
		"it says no":    {answer: says("Failed"), want: func(a *rollout.Answer) { a.Phase, a.Message = "Failed", "so be it" }},
		"it goes on, with a memory": {answer: says("Running", func(r *step.Reply) { r.RequeueAfter, r.State = 17*time.Second, json.RawMessage(`{"n":1}`) }),
			want: func(a *rollout.Answer) {
				a.Phase, a.Message, a.RequeueAfter, a.State = "Running", "so be it", 17*time.Second, json.RawMessage(`{"n":1}`)
			}},
		"it says nothing": {answer: func(context.Context, step.Call) (step.Reply, error) { return step.Reply{}, nil }, want: func(*rollout.Answer) {}},
		"it cannot be asked": {answer: func(context.Context, step.Call) (step.Reply, error) {
			return step.Reply{Phase: "Successful"}, errors.New("gone")
		},
			want: func(a *rollout.Answer) { a.Err = "gone" }},
		"it breaks": {answer: func(context.Context, step.Call) (step.Reply, error) { panic("ouch") }, want: func(a *rollout.Answer) { a.Err = "the plugin panicked: ouch" }},
		"it says what means nothing": {answer: says("Perhaps"),
			want: func(a *rollout.Answer) { a.Err = `phase "Perhaps" is none of Running, Successful, Failed and Error` }},
		"its memory is no object": {answer: says("Running", func(r *step.Reply) { r.State = json.RawMessage(`[1]`) }),
			want: func(a *rollout.Answer) {
				a.Err = "the state is not a JSON object: json: cannot unmarshal array into Go value of type map[string]interface {}"
			}},
		"it is not configured": {given: func(p *Plugins) { p.Steps = nil }, want: func(a *rollout.Answer) {
			a.Unknown, a.Err = true, "could not create step plugin at index 0 : plugin acme/judge not configured in configmap"
		}},
		"it is switched off": {given: func(p *Plugins) { p.Steps = off{} }, want: func(a *rollout.Answer) { a.Disabled = true }},
	} {
		t.Run(name, func(t *testing.T) {
			w, answered := judged(t, &judge{answer: c.answer})
			if c.given != nil {
				c.given(w.rollouts.Plugins)
			}
			w.must(run(0))
			answered()
			want := plain
			c.want(&want)
			if d := cmp.Diff([]rollout.Answer{want}, w.observe().Snapshot.Answers); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestStepPluginIsTold(t *testing.T) {
	j := &judge{answer: says("Successful")}
	w, answered := judged(t, j)
	w.say(func(ro *v1alpha1.Rollout) {
		ro.Status.Canary.StepPluginStatuses = []v1alpha1.StepPluginStatus{
			{Index: 1, Name: "acme/judge", Operation: v1alpha1.StepPluginOperationRun, Status: json.RawMessage(`{"n":1}`)},
			{Index: 0, Name: "acme/judge", Operation: v1alpha1.StepPluginOperationRun, Status: json.RawMessage(`{"n":0}`)}}
	})
	for _, op := range []v1alpha1.StepPluginOperation{v1alpha1.StepPluginOperationRun, v1alpha1.StepPluginOperationAbort} {
		w.must(rollout.CallPlugin{Index: 1, Name: "acme/judge", Operation: op})
		answered()
	}
	for i, op := range []v1alpha1.StepPluginOperation{v1alpha1.StepPluginOperationRun, v1alpha1.StepPluginOperationAbort} {
		c := j.calls[i]
		if c.Operation != op || c.Index != 1 || c.Name != "acme/judge" || string(c.Config) != `{"limit":3}` || string(c.State) != `{"n":1}` || c.Rollout.Name != "web" {
			t.Errorf("%+v", c)
		}
	}
	for name, a := range map[string]rollout.CallPlugin{
		"a step that is not there": run(2), "a step before the first": run(-1),
		"a step of another plugin": {Index: 0, Name: "acme/other", Operation: v1alpha1.StepPluginOperationRun},
	} {
		if err := w.do(a); err == nil || !strings.Contains(err.Error(), "is not of plugin") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	w.rollouts.Plugins = nil
	if err := w.do(run(0)); err == nil {
		t.Error("no error where no plugin can be called")
	}
}

func TestAnswerIsKeptUntilTheStatusHoldsIt(t *testing.T) {
	j := &judge{answer: says("Successful")}
	w, answered := judged(t, j)
	w.must(run(0))
	answered()
	w.must(run(1))
	answered()
	s := w.observe()
	if n := len(s.Snapshot.Answers); n != 2 {
		t.Fatalf("%d answers", n)
	}
	if again := w.observe().Snapshot.Answers; len(again) != 2 {
		t.Error("an answer that was only looked at is lost")
	}
	o := w.rollouts.Explain(s, rollout.Plan{})
	w.must(run(0)) // a third answer comes between look and write
	answered()
	o.Persisted()
	if left := w.observe().Snapshot.Answers; len(left) != 1 || left[0].Index != 0 {
		t.Errorf("left %+v", left)
	}
	if none := w.rollouts.Explain(w.observe(), rollout.Plan{}); none.Persisted == nil {
		t.Error("the third answer is never dropped")
	}
}

func TestAnswerOfAnEarlierAttemptIsForNobody(t *testing.T) {
	for name, change := range map[string]func(*v1alpha1.Rollout){
		"the template has changed": func(ro *v1alpha1.Rollout) { ro.Status.CurrentPodHash = "other" },
		"the steps have changed":   func(ro *v1alpha1.Rollout) { ro.Status.CurrentStepHash = "other" },
		"the update was aborted and is tried again": func(ro *v1alpha1.Rollout) {
			at := v1alpha1.RolloutDuration{}
			at.RolloutStartedAt = ptr(ro.CreationTimestamp)
			ro.Status.Duration = &at
		},
	} {
		t.Run(name, func(t *testing.T) {
			release := make(chan bool)
			j := &judge{answer: func(ctx context.Context, _ step.Call) (step.Reply, error) {
				select {
				case <-release:
				case <-ctx.Done():
				}
				return step.Reply{Phase: "Successful"}, nil
			}}
			w, answered := judged(t, j)
			w.must(run(0), run(1))
			release <- true
			answered()
			if len(w.observe().Snapshot.Answers) != 1 {
				t.Fatal("no answer")
			}
			w.say(change)
			if got := w.observe().Snapshot.Answers; len(got) != 0 {
				t.Errorf("answers %+v", got)
			}
			w.rollouts.Plugins.work.Wait() // the other call was ended
			if got := w.observe().Snapshot.Answers; len(got) != 0 {
				t.Errorf("a late answer: %+v", got)
			}
			w.must(run(0))
			release <- true
			answered()
			if got := w.observe().Snapshot.Answers; len(got) != 1 {
				t.Errorf("the new attempt has no answer: %+v", got)
			}
		})
	}
}

func TestSameCallIsNeverMadeTwiceAtATime(t *testing.T) {
	release := make(chan bool)
	j := &judge{answer: func(context.Context, step.Call) (step.Reply, error) { <-release; return step.Reply{}, nil }}
	w, answered := judged(t, j)
	w.must(run(0), run(0), rollout.CallPlugin{Index: 0, Name: "acme/judge", Operation: v1alpha1.StepPluginOperationAbort})
	w.must(run(0))
	release <- true
	release <- true
	answered()
	answered()
	if n := len(j.asked()); n != 2 {
		t.Errorf("asked %v", j.asked())
	}
	w.must(run(0))
	release <- true
	answered()
	if n := len(j.asked()); n != 3 {
		t.Errorf("asked %v", j.asked())
	}
}

func TestPluginThatDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPlugins(1, time.Now)
		woken := 0
		p.Wake = func(context.Context, loop.Key) { woken++ }
		answers := func() (list []string) {
			for _, a := range p.answers(webKey, attempt{}) {
				list = append(list, fmt.Sprintf("%d %s%s", a.Index, a.Phase, a.Err))
			}
			return list
		}
		call := func(i int32) step.Call {
			return step.Call{Rollout: &v1alpha1.Rollout{}, Name: "acme/judge", Index: i, Operation: v1alpha1.StepPluginOperationRun}
		}
		j := &judge{answer: func(_ context.Context, c step.Call) (step.Reply, error) {
			if c.Index == 0 {
				time.Sleep(5 * time.Minute) // it does not honour its context
			}
			return step.Reply{Phase: "Successful"}, nil
		}}
		p.Steps = step.Table{"acme/judge": j}
		p.start(webKey, call(0))
		synctest.Wait()
		p.start(webKey, call(1)) // waits for its turn
		time.Sleep(59 * time.Second)
		if got := answers(); len(got) != 0 {
			t.Errorf("answers %v", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if d := cmp.Diff([]string{"0 no answer within 1m0s", "1 Successful"}, answers()); d != "" {
			t.Errorf("one that hangs holds up others: %s", d)
		}
		p.start(webKey, call(0)) // is still under way
		time.Sleep(4 * time.Minute)
		synctest.Wait()
		if d := cmp.Diff([]string{"0 no answer within 1m0s", "1 Successful", "0 Successful"}, answers()); d != "" || woken != 3 || len(j.asked()) != 2 {
			t.Errorf("woken %d times, asked %v: %s", woken, j.asked(), d)
		}
		p.Close()
	})
}

func TestForgottenRolloutGetsNoAnswers(t *testing.T) {
	j := &judge{answer: func(ctx context.Context, _ step.Call) (step.Reply, error) {
		<-ctx.Done()
		return step.Reply{}, ctx.Err()
	}}
	w, _ := judged(t, j)
	w.must(run(0))
	if err := w.client.Delete(context.Background(), w.rollout()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.rollouts.Observe(context.Background(), webKey, w.now); !errors.Is(err, loop.ErrGone) {
		t.Fatalf("got %v", err)
	}
	w.rollouts.Plugins.work.Wait()
	if n := len(w.rollouts.Plugins.calls); n != 0 {
		t.Errorf("%d rollouts are held", n)
	}
	w.rollouts.Plugins.Close()
	w.rollouts.Plugins.start(webKey, step.Call{Rollout: &v1alpha1.Rollout{}})
	w.rollouts.Plugins.work.Wait()
	if len(j.asked()) > 1 {
		t.Error("a closed pool calls")
	}
}
