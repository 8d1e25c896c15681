package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
	v2 "github.com/penstock-io/penstock/plugin/v2"
	"github.com/penstock-io/penstock/plugin/v2/wire"
)

// second is this program as a plugin of the second protocol; its configuration, a JSON text,
// says what is wrong with it.
type second struct{}

func (second) Run(ctx context.Context, r v2.StepRequest) (v2.StepReply, error) {
	var fault string
	if err := v2.ReadConfig(r.Config, &fault); err != nil {
		return v2.StepReply{}, err
	}
	switch fault {
	case "dies":
		os.Exit(3)
	case "stops":
		if err := syscall.Kill(os.Getpid(), syscall.SIGSTOP); err != nil {
			return v2.StepReply{}, err
		}
		select {}
	case "hangs":
		select {}
	case "prints":
		fmt.Fprint(os.Stderr, "the lift is")
		fmt.Fprintln(os.Stderr, "\tstuck")
	case "panics":
		panic("no floor")
	case "refuses":
		return v2.StepReply{}, fmt.Errorf("look: %w", v2.Refuse("probe.url", "want https"))
	case "has no answer":
		return v2.StepReply{}, status.Error(codes.Unavailable, "the lift is away")
	case "is long":
		return v2.StepReply{Message: strings.Repeat("x", maxAnswer)}, nil
	}
	return v2.StepReply{Phase: v1alpha1.StepPluginPhaseSuccessful, Message: fmt.Sprint(os.Getpid())}, nil
}

func (second) Terminate(context.Context, v2.StepRequest) (v2.StepReply, error) {
	return v2.StepReply{}, nil
}

func (second) Abort(context.Context, v2.StepRequest) (v2.StepReply, error) {
	return v2.StepReply{}, nil
}

// stepping is a registry that has this program as a plugin of the second protocol.
func stepping(t *testing.T) *Registry {
	path, sum := binary(t)
	r := having(t, item("a/toy", "file://"+path, sum))
	r.Kind = Step
	r.Config = func(context.Context) (map[string]string, error) {
		return map[string]string{Step.Key: item("a/toy", "file://"+path, sum)}, nil
	}
	return r
}

// run runs a step within limit, and returns its message.
func run(r *Registry, fault string, limit time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	config, err := json.Marshal(fault)
	if err != nil {
		return "", err
	}
	reply, err := wire.NewStepClient(r.Conn("a/toy", "spec.steps[0].config")).Run(ctx, &wire.StepRequest{Rollout: []byte("{}"), Config: config})
	return reply.GetMessage(), err
}

func TestTheProtocolIsNegotiated(t *testing.T) {
	path, sum := binary(t)
	first, second := having(t, item("a/toy", "file://"+path, sum)), stepping(t)
	for want, r := range map[int]*Registry{1: first, 2: second} {
		if got, err := r.Speaks(t.Context(), "a/toy"); got != want || err != nil {
			t.Errorf("it speaks %d, not %d: %v", got, want, err)
		}
	}
	if _, err := run(first, "", long); err == nil || !strings.Contains(err.Error(), "plugin a/toy speaks protocol 1 now") {
		t.Errorf("got %v", err)
	}
	if _, err := ask(second, "Type", long); err == nil || !strings.Contains(err.Error(), "plugin a/toy speaks protocol 2 now") {
		t.Errorf("got %v", err)
	}
	if _, err := second.Speaks(t.Context(), "a/none"); !errors.Is(err, ErrUnknown) {
		t.Errorf("got %v", err)
	}
	// What it speaks is known without starting it again.
	if _, err := run(second, "dies", long); err == nil {
		t.Error("it lives")
	}
	if got, err := second.Speaks(t.Context(), "a/toy"); got != Second || err != nil || second.running["a/toy"].live != nil {
		t.Errorf("got %d, %v", got, err)
	}
}

func TestAPluginOfTheSecondProtocolIsStartedOnceAndAgainAfterACrash(t *testing.T) {
	r := stepping(t)
	first, err := run(r, "", long)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := run(r, "", long); err != nil || again != first {
		t.Errorf("the second call met %s, not %s: %v", again, first, err)
	}
	for fault, want := range map[string]string{
		"refuses":       "plugin a/toy: look: the configuration cannot be used: spec.steps[0].config.probe.url: want https",
		"panics":        "plugin a/toy: the plugin panicked: no floor",
		"has no answer": "plugin a/toy: the lift is away",
		"is long":       "plugin a/toy: grpc: received message larger than max",
	} {
		if _, err := run(r, fault, long); err == nil || !strings.HasPrefix(err.Error(), want) || status.Code(err) == codes.Unknown {
			t.Errorf("%s: %v", fault, err)
		}
	}
	if again, err := run(r, "", long); err != nil || again != first {
		t.Errorf("errors that it answered have ended it: %v", err)
	}
	// Covers: analysis edge 115.
	if _, err := run(r, "dies", long); err == nil || !strings.HasPrefix(err.Error(), "plugin a/toy has died: ") {
		t.Errorf("got %v", err)
	}
	if third, err := run(r, "", long); err != nil || third == first {
		t.Errorf("after the crash: %s, %v", third, err)
	}
}

// Covers: analysis defect 19.
func TestAPluginOfTheSecondProtocolThatHangs(t *testing.T) {
	r := stepping(t)
	first, err := run(r, "", long)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	for range 2 * patience { // who gives up blames nobody
		waiting.Go(func() {
			_, err := wire.NewStepClient(r.Conn("a/toy", "")).Run(ctx, &wire.StepRequest{Rollout: []byte("{}"), Config: []byte(`"hangs"`)})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		})
	}
	if now, err := run(r, "", long); err != nil || now != first {
		t.Errorf("others are held up: %s, %v", now, err)
	}
	cancel()
	waiting.Wait()
	if now, err := run(r, "", long); err != nil || now != first {
		t.Errorf("it was started anew: %s, %v", now, err)
	}
	for range patience {
		if _, err := run(r, "hangs", 10*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), "plugin a/toy: no answer to Run in time") {
			t.Errorf("got %v", err)
		}
	}
	anew(t, first, func() (string, error) { return run(r, "", long) })
}

// anew waits until another process answers.
func anew(t *testing.T, first string, ask func() (string, error)) {
	t.Helper()
	for deadline := time.Now().Add(long); ; {
		now, err := ask()
		if err == nil && now != first {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still %s: %v", now, err)
		}
	}
}

// TestAProgramThatIsStopped answers nothing, not even the question to end itself.
func TestAProgramThatIsStopped(t *testing.T) {
	path, sum := binary(t)
	first, second := having(t, item("a/toy", "file://"+path, sum)), stepping(t)
	t.Run("with the first protocol", func(t *testing.T) {
		t.Parallel()
		pid, err := ask(first, "Type", long)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ask(first, "Stop", time.Second); err == nil {
			t.Error("it answers")
		}
		anew(t, pid, func() (string, error) { return ask(first, "Type", time.Second) })
	})
	t.Run("with the second protocol", func(t *testing.T) {
		t.Parallel()
		pid, err := run(second, "", long)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := run(second, "stops", time.Second); err == nil {
			t.Error("it answers")
		}
		anew(t, pid, func() (string, error) { return run(second, "", time.Second) })
	})
}

// TestAStartGoesOn: a binary that takes longer to fetch than a call may take is there in the end.
func TestAStartGoesOn(t *testing.T) {
	path, sum := binary(t)
	release := make(chan struct{})
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path)
		<-release
		http.ServeFile(w, r, path)
	}))
	defer server.Close()
	r := having(t, item("a/toy", server.URL+"/toy", sum))
	for range 2 {
		if _, err := ask(r, "Type", 20*time.Millisecond); err == nil || !strings.Contains(err.Error(), "wait for its start") {
			t.Errorf("got %v", err)
		}
	}
	close(release)
	if _, err := ask(r, "Type", long); err != nil || len(asked) != 1 {
		t.Errorf("%v, fetched %q", err, asked)
	}
}

func TestWhatAPluginPrintsIsLogged(t *testing.T) {
	r := stepping(t)
	var mu sync.Mutex
	var logged []string
	r.Log = funcr.New(func(_, args string) {
		mu.Lock()
		defer mu.Unlock()
		logged = append(logged, args)
	}, funcr.Options{})
	if _, err := run(r, "prints", long); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(long); ; { // it comes on a way of its own
		mu.Lock()
		found := slices.Contains(logged, `"level"=0 "msg"="the lift is\tstuck" "plugin"="a/toy"`)
		all := strings.Join(logged, "\n")
		mu.Unlock()
		if found && !strings.Contains(all, "@level") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("logged %s", all)
		}
	}
}

func TestSentences(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"no reason":          {status.Error(codes.PermissionDenied, " "), "plugin a/b: it answers PermissionDenied and gives no reason"},
		"several lines":      {errors.New("a\n  b"), "plugin a/b: a b"},
		"a field":            {v2.Refuse("url", "want https"), "plugin a/b: the configuration cannot be used: spec.x.url: want https"},
		"an entry of a list": {v2.Refuse("[1]", "twice"), "plugin a/b: the configuration cannot be used: spec.x[1]: twice"},
		"the whole":          {v2.Refuse("", "is empty"), "plugin a/b: the configuration cannot be used: spec.x: is empty"},
	} {
		if got := Sentence("a/b", "spec.x", status.Convert(c.err)); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := Sentence("a/b", "", status.New(codes.Unknown, strings.Repeat("ä", maxSentence))); len(got) > maxSentence+3 {
		t.Errorf("it has %d bytes", len(got))
	}
}

func TestSeconds(t *testing.T) {
	for s, want := range map[float64]time.Duration{0: 0, -1: 0, math.NaN(): 0, math.Inf(-1): 0, 1.5: 1500 * time.Millisecond, math.Inf(1): 24 * time.Hour, 1e300: 24 * time.Hour} {
		if got := Seconds(s); got != want {
			t.Errorf("%v: %s", s, got)
		}
	}
}

func TestARolloutAsPluginsGetIt(t *testing.T) {
	ro := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Name: "web", ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "x"}}}}
	ro.Spec.TemplateResolvedFromRef, ro.Spec.SelectorResolvedFromRef = true, true
	ro.Spec.Template.Labels, ro.Spec.Selector = map[string]string{"app": "web"}, &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
	raw, err := Rollout(ro)
	if err != nil || !ro.Spec.TemplateResolvedFromRef || len(ro.ManagedFields) != 1 {
		t.Fatalf("%v, %+v", err, ro)
	}
	got := &v1alpha1.Rollout{}
	if err := json.Unmarshal(raw, got); err != nil {
		t.Fatal(err)
	}
	if got.Kind != "Rollout" || got.APIVersion != "argoproj.io/v1alpha1" || got.Spec.Template.Labels["app"] != "web" || got.Spec.Selector == nil || len(got.ManagedFields) != 0 {
		t.Errorf("got %s", raw)
	}
	if raw, err = Rollout(nil); err != nil || !strings.Contains(string(raw), `"kind":"Rollout"`) {
		t.Errorf("%s, %v", raw, err)
	}
}

func TestLines(t *testing.T) {
	var got []string
	l := &lines{log: func(line string) { got = append(got, line) }}
	for _, part := range []string{"a", "b\n\n", "c\nd\n{\"@level\":\"debug\"}\n", strings.Repeat("x", maxLine+3), "\nend"} {
		if n, err := l.Write([]byte(part)); n != len(part) || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	if want := []string{"ab", "c", "d", strings.Repeat("x", maxLine), "xxx"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}
