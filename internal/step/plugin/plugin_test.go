package plugin

import (
	"context"
	"crypto/sha256"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/rpc"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	goplugin "github.com/hashicorp/go-plugin"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/plugin"
	"github.com/penstock-io/penstock/internal/step"
	v2 "github.com/penstock-io/penstock/plugin/v2"
)

// TestMain lets this program be the plugin as well, with types of its own, as other
// people's plugins have.
func TestMain(m *testing.M) {
	if os.Getenv("ARGO_ROLLOUTS_RPC_PLUGIN") != "step" {
		os.Exit(m.Run())
	}
	if len(os.Args) > 1 && os.Args[1] == "second" {
		v2.Serve(v2.OfStep(newer{}))
		return
	}
	gob.RegisterName("step.RunArgs", new(theirRunArgs))
	gob.RegisterName("step.TerminateArgs", new(theirTerminateArgs))
	gob.RegisterName("step.AbortArgs", new(theirAbortArgs))
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig: goplugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "ARGO_ROLLOUTS_RPC_PLUGIN", MagicCookieValue: "step"},
		Plugins:         goplugin.PluginSet{"RpcStepPlugin": served{}},
	})
}

type served struct{}

func (served) Server(*goplugin.MuxBroker) (any, error) { return &theirs{}, nil }

func (served) Client(*goplugin.MuxBroker, *rpc.Client) (any, error) {
	return nil, errors.New("not here")
}

// What they know of the objects; gob matches by the names of fields.
type (
	theirArgs struct {
		Rollout *struct {
			ObjectMeta struct{ Name string }
			Spec       v1alpha1.RolloutSpec
			Status     struct{ CurrentPodHash string }
		}
		Context *struct {
			PluginName     string
			Config, Status json.RawMessage
		}
	}
	theirRunArgs       theirArgs
	theirTerminateArgs theirArgs
	theirAbortArgs     theirArgs
	TheirResponse      struct {
		Result struct {
			Phase, Message string
			RequeueAfter   time.Duration
			Status         json.RawMessage
		}
		Error struct{ ErrorString string }
	}
)

// theirs answers as its configuration says, and puts what it was told into the answer.
type theirs struct{}

func (*theirs) InitPlugin(_ any, _ *struct{ ErrorString string }) error { return nil }

func (*theirs) answer(what string, a theirArgs, r *TheirResponse) error {
	if err := json.Unmarshal(a.Context.Config, r); err != nil {
		return err
	}
	if r.Result.Message == "hang" {
		select {}
	}
	r.Result.Message = strings.ReplaceAll(r.Result.Message, "SPEC", arrived(a.Rollout.Spec))
	r.Result.Message = strings.ReplaceAll(r.Result.Message, "ALL", fmt.Sprintf("%s of %s at %s by %s, state %s", what, a.Rollout.ObjectMeta.Name,
		a.Rollout.Status.CurrentPodHash, a.Context.PluginName, a.Context.Status))
	return nil
}

func (t *theirs) Run(args any, r *TheirResponse) error {
	return t.answer("run", theirArgs(*args.(*theirRunArgs)), r)
}

func (t *theirs) Terminate(args any, r *TheirResponse) error {
	return t.answer("terminate", theirArgs(*args.(*theirTerminateArgs)), r)
}

func (t *theirs) Abort(args any, r *TheirResponse) error {
	return t.answer("abort", theirArgs(*args.(*theirAbortArgs)), r)
}

// stepping makes the adapter with this program as its plugins.
func stepping(t *testing.T) step.Plugin {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(raw)
	list := fmt.Sprintf("- {name: a/judge, location: \"file://%s\", sha256: %s}\n- {name: a/off, location: \"file:///x\", sha256: %[2]s, disabled: true}\n"+
		"- {name: a/newer, location: \"file://%[1]s\", sha256: %[2]s, args: [second]}\n", path, hex.EncodeToString(sum[:]))
	r := &plugin.Registry{Kind: plugin.Step, Dir: t.TempDir(), Log: logr.Discard(),
		Config: func(context.Context) (map[string]string, error) { return map[string]string{"stepPlugins": list}, nil }}
	t.Cleanup(r.Close)
	return New(r)
}

func TestWhatAStepPluginIsToldAndAnswers(t *testing.T) {
	p := stepping(t)
	ro := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Status: v1alpha1.RolloutStatus{CurrentPodHash: "abc"}}
	for name, c := range map[string]struct {
		plugin, config string
		operation      v1alpha1.StepPluginOperation
		want           step.Reply
		wantErr        string
		wantIs         error
	}{
		"a success, and all that it was told": {"a/judge", `{"Result":{"Phase":"Successful","Message":"ALL"}}`, "Run",
			step.Reply{Phase: "Successful", Message: `run of web at abc by a/judge, state {"n":1}`}, "", nil},
		"it goes on, soon and with a memory": {"a/judge", `{"Result":{"Phase":"Running","RequeueAfter":3000000000,"Status":{"n":2}}}`, "Run",
			step.Reply{Phase: "Running", RequeueAfter: 3 * time.Second, State: json.RawMessage(`{"n":2}`)}, "", nil},
		"it is terminated": {"a/judge", `{"Result":{"Phase":"Successful","Message":"ALL"}}`, "Terminate",
			step.Reply{Phase: "Successful", Message: `terminate of web at abc by a/judge, state {"n":1}`}, "", nil},
		"it is aborted": {"a/judge", `{"Result":{"Phase":"Failed","Message":"ALL"}}`, "Abort",
			step.Reply{Phase: "Failed", Message: `abort of web at abc by a/judge, state {"n":1}`}, "", nil},
		"it has an error":      {"a/judge", `{"Error":{"ErrorString":"no"}}`, "Run", step.Reply{}, "no", nil},
		"it breaks":            {"a/judge", `x`, "Run", step.Reply{}, "Run rpc call error: invalid character", nil},
		"it is disabled":       {"a/off", `{}`, "Run", step.Reply{}, "plugin a/off is disabled in ConfigMap argo-rollouts-config", step.ErrDisabled},
		"it is not configured": {"a/none", `{}`, "Run", step.Reply{}, "plugin a/none not configured in configmap", step.ErrUnknown},
		"an odd operation":     {"a/judge", `{}`, "Jump", step.Reply{}, `there is no operation "Jump" of a step plugin`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := p.Call(t.Context(), step.Call{Rollout: ro, Name: c.plugin, Operation: c.operation, Config: json.RawMessage(c.config), State: json.RawMessage(`{"n":1}`)})
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
			if (err != nil) != (c.wantErr != "") || err != nil && !strings.Contains(err.Error(), c.wantErr) || c.wantIs != nil && !errors.Is(err, c.wantIs) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestAStepPluginThatHangsIsLeft(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err := stepping(t).Call(ctx, step.Call{Rollout: &v1alpha1.Rollout{}, Name: "a/judge", Operation: "Run", Config: json.RawMessage(`{"Result":{"Message":"hang"}}`)})
	if err == nil || !strings.Contains(err.Error(), "no answer to Run in time") {
		t.Errorf("%v", err)
	}
}
