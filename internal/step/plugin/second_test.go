package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/step"
	v2 "github.com/penstock-io/penstock/plugin/v2"
	"github.com/penstock-io/penstock/plugin/v2/wire"
)

// newer is a plugin of the second protocol; it answers as its configuration says.
type newer struct{}

// wish is its configuration.
type wish struct {
	Phase   v1alpha1.StepPluginPhase `json:"phase"`
	Message string                   `json:"message"`
	Again   float64                  `json:"again"`
	State   json.RawMessage          `json:"state"`
}

func (newer) answer(what string, r v2.StepRequest) (v2.StepReply, error) {
	var w wish
	if err := v2.ReadConfig(r.Config, &w); err != nil {
		return v2.StepReply{}, err
	}
	text := strings.ReplaceAll(w.Message, "SPEC", arrived(r.Rollout.Spec))
	text = strings.ReplaceAll(text, "ALL", fmt.Sprintf("%s %d of %s at %s by %s, state %s", what, r.Index, r.Rollout.Name, r.Rollout.Status.CurrentPodHash, r.Plugin, r.State))
	return v2.StepReply{Phase: w.Phase, Message: text, Again: time.Duration(w.Again * float64(time.Second)), State: w.State}, nil
}

func (n newer) Run(_ context.Context, r v2.StepRequest) (v2.StepReply, error) {
	return n.answer("run", r)
}

func (n newer) Terminate(_ context.Context, r v2.StepRequest) (v2.StepReply, error) {
	return n.answer("terminate", r)
}

func (n newer) Abort(_ context.Context, r v2.StepRequest) (v2.StepReply, error) {
	return n.answer("abort", r)
}

// arrived tells what a plugin sees of a spec: a zero behind a pointer, a quantity, and an
// empty list.
func arrived(s v1alpha1.RolloutSpec) string {
	if s.Strategy.Canary == nil {
		return ""
	}
	weight, templates := "none", "none"
	if w := s.Strategy.Canary.Steps[0].SetWeight; w != nil {
		weight = fmt.Sprint(*w)
	}
	if e := s.Strategy.Canary.Steps[1].Experiment; e != nil && e.Templates != nil {
		templates = fmt.Sprint(len(e.Templates))
	}
	memory := s.Template.Spec.Containers[0].Resources.Requests[corev1.ResourceMemory]
	return fmt.Sprintf("weight %s, memory %s, templates %s", weight, memory.String(), templates)
}

func TestWhatAStepPluginOfTheSecondProtocolIsToldAndAnswers(t *testing.T) {
	p := stepping(t)
	ro := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Status: v1alpha1.RolloutStatus{CurrentPodHash: "abc"}}
	for name, c := range map[string]struct {
		config    string
		operation v1alpha1.StepPluginOperation
		want      step.Reply
		wantErr   string
	}{
		"a success, and all that it was told": {`{"phase":"Successful","message":"ALL"}`, "Run",
			step.Reply{Phase: "Successful", Message: `run 2 of web at abc by a/newer, state {"n":1}`}, ""},
		"it goes on, soon and with a memory": {`{"phase":"Running","again":3,"state":{"n":2}}`, "Run",
			step.Reply{Phase: "Running", RequeueAfter: 3 * time.Second, State: json.RawMessage(`{"n":2}`)}, ""},
		"it is terminated":           {`{"phase":"Successful","message":"ALL"}`, "Terminate", step.Reply{Phase: "Successful", Message: `terminate 2 of web at abc by a/newer, state {"n":1}`}, ""},
		"it is aborted":              {`{"phase":"Failed","message":"ALL"}`, "Abort", step.Reply{Phase: "Failed", Message: `abort 2 of web at abc by a/newer, state {"n":1}`}, ""},
		"a configuration of its own": {`{"phase":"Successful","messsage":"x"}`, "Run", step.Reply{}, "plugin a/newer: the configuration cannot be used: spec.strategy.canary.steps[2].plugin.config.messsage: there is no such field"},
		"no phase":                   {`{}`, "Run", step.Reply{}, `plugin a/newer: phase "" is none of Running, Successful, Failed and Error`},
		"a memory that is too large": {`{"phase":"Running","state":{"n":"` + strings.Repeat("x", maxState) + `"}}`, "Run", step.Reply{}, "plugin a/newer: its state has 65544 bytes: at most 65536 go into a status"},
		"an odd operation":           {`{}`, "Jump", step.Reply{}, `there is no operation "Jump" of a step plugin`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := p.Call(t.Context(), step.Call{Rollout: ro, Index: 2, Name: "a/newer", Operation: c.operation, Config: json.RawMessage(c.config), State: json.RawMessage(`{"n":1}`)})
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
			if (err != nil) != (c.wantErr != "") || err != nil && !strings.Contains(err.Error(), c.wantErr) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// TestWhatArrives: gob leaves out what JSON carries.
func TestWhatArrives(t *testing.T) {
	p := stepping(t)
	ro := &v1alpha1.Rollout{}
	ro.Spec.Template.Spec.Containers = []corev1.Container{{Name: "web", Resources: corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("64Mi")}}}}
	ro.Spec.Strategy.Canary = &v1alpha1.CanaryStrategy{Steps: []v1alpha1.CanaryStep{{SetWeight: new(int32)},
		{Experiment: &v1alpha1.RolloutExperimentStep{Templates: []v1alpha1.RolloutExperimentTemplate{}, Duration: "1m"}}}}
	for plugin, c := range map[string]struct{ config, want string }{
		"a/judge": {`{"Result":{"Message":"SPEC"}}`, "weight none, memory 0, templates none"},
		"a/newer": {`{"phase":"Successful","message":"SPEC"}`, "weight 0, memory 64Mi, templates 0"},
	} {
		got, err := p.Call(t.Context(), step.Call{Rollout: ro, Name: plugin, Operation: "Run", Config: json.RawMessage(c.config)})
		if err != nil || got.Message != c.want {
			t.Errorf("%s sees %q, want %q: %v", plugin, got.Message, c.want, err)
		}
	}
}

// FuzzRead: whatever a plugin answers, there is no panic, and nothing that a status could not hold.
func FuzzRead(f *testing.F) {
	f.Add("Running", "on", 1.5, []byte(`{}`))
	f.Add("", "\xff\n", -1e300, []byte(nil))
	f.Fuzz(func(t *testing.T, phase, message string, again float64, state []byte) {
		r, err := read("a/b", &wire.StepReply{Phase: phase, Message: message, AgainSeconds: again, State: state})
		if err == nil && (r.RequeueAfter < 0 || len(r.State) > maxState || len(r.Message) > 2048 || strings.Contains(r.Message, "\n")) {
			t.Errorf("%+v", r)
		}
	})
}
