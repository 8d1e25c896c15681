package alb

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/routertest"
)

var webKey = types.NamespacedName{Namespace: "shop", Name: "web"}

func verifyTarget() traffic.Target {
	to := targetOf(section())
	to.Routing.ALB.Ingresses = []string{"second"}
	return to
}

// shown is what the router says of the Ingress `second` once its answer has settled: it looks
// again each time it is woken.
func shown(t *testing.T, v *answering, s traffic.Split, until func(traffic.Observation) bool) traffic.Observation {
	t.Helper()
	cluster := clusterOf(routertest.Object(t, second))
	r := New(cluster, cluster, Options{Verifier: v.Verifier})
	if _, err := r.Apply(t.Context(), verifyTarget(), s); err != nil {
		t.Fatal(err)
	}
	for {
		o, err := r.Observe(t.Context(), verifyTarget())
		if err != nil {
			t.Fatal(err)
		}
		if until(o) {
			return o
		}
		select {
		case <-v.woken:
		case <-time.After(20 * time.Second):
			t.Fatalf("nothing changes any more: %+v", o)
		}
	}
}

func confirmed(o traffic.Observation) bool { return o.Confirmed }

func told(reason string) func(traffic.Observation) bool {
	return func(o traffic.Observation) bool { return len(o.Notes) > 0 && o.Notes[0].Reason == reason }
}

// Covers: traffic edge 180, traffic defect 31.
func TestAWSConfirmsASplit(t *testing.T) {
	f := newFakeELB()
	v := verifierOn(t, f)
	o := shown(t, v, at(30), confirmed)
	want := []v1alpha1.ALBStatus{{
		Ingress:           "second",
		LoadBalancer:      v1alpha1.AwsResourceRef{Name: "web", ARN: lbARN, FullName: "app/web/1"},
		CanaryTargetGroup: v1alpha1.AwsResourceRef{Name: "canary", ARN: tgARN + "canary/1", FullName: "targetgroup/canary/1"},
		StableTargetGroup: v1alpha1.AwsResourceRef{Name: "stable", ARN: tgARN + "stable/1", FullName: "targetgroup/stable/1"},
	}}
	if d := cmp.Diff(want, o.ALBs); d != "" {
		t.Error(d)
	}
	note := traffic.Note{Reason: "TargetGroupVerified", Message: "Service canary (TargetGroup " + tgARN + "canary/1) verified: canary weight 30 set"}
	if d := cmp.Diff([]traffic.Note{note}, o.Notes); d != "" {
		t.Error(d)
	}
	if o.Settle > time.Minute {
		t.Errorf("settle %s", o.Settle)
	}
	if n := f.calls["DescribeTags"]; n != 3 {
		t.Errorf("tags of 48 target groups in %d requests", n)
	}
}

// Every rule counts, and stable's weight and those of experiments too: the published
// controller looked at the canary's, and counted.
//
// Covers: traffic edge 180, traffic defect 31, traffic defect 37.
func TestWhatAWSDoesNotConfirm(t *testing.T) {
	group := func(service string) string { return "Service " + service + " (TargetGroup " + tgARN + service + "/1) " }
	for name, c := range map[string]struct {
		change func(*fakeELB)
		split  traffic.Split
		want   string // a note
	}{
		"another canary weight":          {func(f *fakeELB) { f.divide(5, 95, 0) }, at(30), group("canary") + "not verified: canary weight 30 not yet set (current: 5)"},
		"another stable weight":          {func(f *fakeELB) { f.divide(30, 60, 0) }, at(30), group("stable") + "not verified: stable weight 70 not yet set (current: 60)"},
		"an experiment's weight":         {func(f *fakeELB) { f.divide(30, 70, 5) }, with(at(30), map[string]int32{"exp-a": 10}), group("exp-a") + "not verified: additional weight 10 not yet set (current: 5)"},
		"an experiment that is over":     {func(f *fakeELB) { f.divide(30, 70, 5) }, at(30), group("canary") + "not verified: foreign weight 0 not yet set (current: 5)"},
		"one listener is behind":         {func(f *fakeELB) { f.rules["l443"][2] = strings.ReplaceAll(f.rules["l443"][2], ">30<", ">20<") }, at(30), group("canary") + "not verified: canary weight 30 not yet set (current: 20)"},
		"no rule divides":                {func(f *fakeELB) { f.rules = nil }, at(30), group("canary") + "not verified: canary weight 30 not yet set (current: 0)"},
		"no such host name":              {func(f *fakeELB) { f.balancers = map[string]string{} }, at(30), "Failed to find load balancer: lb.example"},
		"the load balancer is deleted":   {func(f *fakeELB) { f.fail["DescribeTargetGroups"] = "LoadBalancerNotFound" }, at(30), "Failed to find load balancer: lb.example"},
		"the account may not ask":        {func(f *fakeELB) { f.fail["DescribeTags"] = "AccessDenied" }, at(30), "Failed to verify Service canary (TargetGroup shop/second-canary:80): read the tags of target groups: AccessDenied: Sorry"},
		"too many requests":              {func(f *fakeELB) { f.fail["DescribeRules"] = "Throttling" }, at(30), "Failed to verify Service canary (TargetGroup shop/second-canary:80): list the rules of a listener: Throttling: Sorry"},
		"an answer that nobody can read": {func(f *fakeELB) { f.fail["DescribeListeners"] = "garbage" }, at(30), "Failed to verify Service canary (TargetGroup shop/second-canary:80): list listeners: HTTP status 502: "},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeELB()
			c.change(f)
			v := verifierOn(t, f)
			o := shown(t, v, c.split, func(o traffic.Observation) bool { return len(o.Notes) > 0 })
			if len(o.Notes) != 1 || !o.Notes[0].Warning || !strings.HasPrefix(o.Notes[0].Message, c.want) || o.Confirmed || o.Settle < time.Hour {
				t.Errorf("%+v", o)
			}
		})
	}
}

// Covers: traffic edge 180.
func TestTheAnswerChangesWithoutAnotherLook(t *testing.T) {
	f := newFakeELB()
	f.divide(0, 100, 0)
	v := verifierOn(t, f)
	shown(t, v, at(30), told(reasonUnverified))
	f.mu.Lock()
	f.fail["DescribeRules"] = "Throttling"
	f.mu.Unlock()
	o := shown(t, v, at(30), told(reasonError))
	if len(o.ALBs) != 1 {
		t.Errorf("an error takes away what was known: %+v", o.ALBs)
	}
	f.divide(30, 70, 0)
	f.mu.Lock()
	f.fail["DescribeRules"] = ""
	f.mu.Unlock()
	shown(t, v, at(30), confirmed)
	f.mu.Lock()
	before := fmt.Sprint(f.calls)
	f.mu.Unlock()
	shown(t, v, at(30), confirmed) // known, and not asked again
	if o := shown(t, v, at(31), told(reasonUnverified)); o.Confirmed {
		t.Error("what was asked about one split counts for another")
	}
	if before == fmt.Sprint(f.calls) {
		t.Error("AWS was not asked about another split")
	}
}

func TestAnIngressWithoutAHostName(t *testing.T) {
	v := verifierOn(t, newFakeELB())
	for range 2 {
		q := question{Namespace: "shop", Port: "80", Split: at(30), Ingresses: []place{{"second", nil}, {"web", []string{"lb.example"}}}}
		p, err := q.answer(t.Context(), v.cloud, defaultTag)
		if err != nil || p.Holds || len(p.ALBs) != 1 {
			t.Errorf("%+v %v", p, err)
		}
	}
}

// A hang ends with the bound of the question; nobody else waits for it.
func TestAHang(t *testing.T) {
	f := newFakeELB()
	f.hang["DescribeListeners"] = true
	v := verifierOn(t, f)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	q := question{Namespace: "shop", Port: "80", Split: at(30), Ingresses: []place{{"second", []string{"lb.example"}}}}
	_, err := q.answer(ctx, v.cloud, defaultTag)
	if err == nil || !strings.Contains(err.Error(), "list listeners: no answer in time") {
		t.Errorf("got %v", err)
	}
	o := shown(t, v, at(30), func(traffic.Observation) bool { return true })
	if o.Confirmed {
		t.Error("confirmed by nobody")
	}
}

func TestCredentialsThatCannotBeFound(t *testing.T) {
	v := answeringBy(NewVerifier(VerifierOptions{Rest: time.Millisecond, Config: func(context.Context) (aws.Config, error) {
		return aws.Config{}, errors.New("nobody knows who we are")
	}}))
	defer v.Close()
	o := shown(t, v, at(30), told(reasonError))
	if want := "find the credentials of AWS: nobody knows who we are"; !strings.Contains(o.Notes[0].Message, want) {
		t.Errorf("%+v", o.Notes)
	}
}

// Covers: traffic edge 180.
func TestTargets(t *testing.T) {
	f := newFakeELB()
	f.health["a"] = []string{targetXML("10.0.0.1", 80, "healthy", ""), targetXML("10.0.0.2", 80, "initial", "Elb.RegistrationInProgress"), targetXML("10.0.0.3", 80, "draining", "Target.DeregistrationInProgress")}
	f.health["b"] = []string{targetXML("10.0.0.1", 81, "unused", "Target.NotInUse"), targetXML("fd00::2", 81, "unavailable", "Target.HealthCheckDisabled")}
	v := verifierOn(t, f)
	group := func(arn string, endpoints ...string) traffic.TargetGroup {
		return traffic.TargetGroup{ARN: arn, Service: "web", Endpoints: endpoints}
	}
	for name, c := range map[string]struct {
		list  []traffic.TargetGroup
		holds bool
		want  string
	}{
		"all are healthy":             {[]traffic.TargetGroup{group("a", "10.0.0.1:80")}, true, "Service web (TargetGroup a) verified: 1 endpoints registered"},
		"one is not yet":              {[]traffic.TargetGroup{group("a", "10.0.0.1:80", "10.0.0.2:80")}, false, "Service web (TargetGroup a) not verified: 1/2 endpoints registered"},
		"one is on its way out":       {[]traffic.TargetGroup{group("a", "10.0.0.3:80")}, false, "Service web (TargetGroup a) not verified: 0/1 endpoints registered"},
		"another port":                {[]traffic.TargetGroup{group("a", "10.0.0.1:81")}, false, "Service web (TargetGroup a) not verified: 0/1 endpoints registered"},
		"nobody uses the group":       {[]traffic.TargetGroup{group("b", "10.0.0.1:81", "[fd00::2]:81")}, true, "Service web (TargetGroup b) verified: 2 endpoints registered"},
		"one of two groups is behind": {[]traffic.TargetGroup{group("b", "10.0.0.1:81"), group("a", "10.0.0.2:80")}, false, "Service web (TargetGroup a) not verified: 0/1 endpoints registered"},
	} {
		p, err := answerTargets(t.Context(), v.cloud, c.list)
		if err != nil || p.Holds != c.holds || len(p.Notes) != len(c.list) || p.Notes[len(p.Notes)-1].Message != c.want {
			t.Errorf("%s: %+v %v", name, p, err)
		}
	}
	f.fail["DescribeTargetHealth"] = "TargetGroupNotFound"
	if _, err := answerTargets(t.Context(), v.cloud, []traffic.TargetGroup{group("a")}); err == nil || err.Error() != "Failed to verify Service web (TargetGroup a): read the health of targets: TargetGroupNotFound: Sorry" {
		t.Errorf("got %v", err)
	}
}

// pursuing is a Verifier in virtual time, with one question that is answered by a list.
func pursuing(answers ...traffic.Proof) (v *Verifier, ask func(context.Context) (traffic.Proof, error), asked *[]time.Duration) {
	start := time.Now()
	asked = new([]time.Duration)
	v = NewVerifier(VerifierOptions{})
	return v, func(context.Context) (traffic.Proof, error) {
		*asked = append(*asked, time.Since(start))
		n := min(len(*asked), len(answers)) - 1
		if a := answers[n]; a.ALBs == nil {
			return a, nil
		}
		return traffic.Proof{}, errors.New("down")
	}, asked
}

var (
	no  = traffic.Proof{Notes: []traffic.Note{{Message: "no"}}}
	yes = traffic.Proof{Holds: true}
	// down stands for an error.
	down = traffic.Proof{ALBs: []v1alpha1.ALBStatus{}}
)

func TestAQuestionIsAskedUntilItIsAnsweredByYes(t *testing.T) {
	for name, c := range map[string]struct {
		answers []traffic.Proof
		want    []time.Duration // in seconds
		wakes   int
	}{
		"at once":                     {[]traffic.Proof{yes}, []time.Duration{2}, 1},
		"every ten seconds":           {[]traffic.Proof{no, no, no, yes}, []time.Duration{2, 12, 22, 32}, 2},
		"more seldom after errors":    {[]traffic.Proof{down, down, down, down, down, down, no, yes}, []time.Duration{2, 12, 32, 72, 152, 272, 392, 402}, 3},
		"as often again after a word": {[]traffic.Proof{down, down, no, down, yes}, []time.Duration{2, 12, 32, 42, 52}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v, ask, asked := pursuing(c.answers...)
				wakes := 0
				v.Wake = func(context.Context, types.NamespacedName) { wakes++ }
				s := subject{webKey, "x"}
				for range 3 { // as often as somebody looks, it is one question
					if p := v.put(s, "q", ask); p.Holds {
						t.Fatal("known before it was asked")
					}
				}
				time.Sleep(15 * time.Minute) // virtual
				synctest.Wait()
				for i := range c.want {
					c.want[i] *= time.Second
				}
				if d := cmp.Diff(c.want, *asked); d != "" || wakes != c.wakes || !v.put(s, "q", ask).Holds {
					t.Errorf("%d wakes, %s", wakes, d)
				}
				v.Close()
			})
		})
	}
}

func TestQuestionsThatNobodyPutsAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, ask, asked := pursuing(no)
		v.put(subject{webKey, "forgotten"}, "q", ask)
		v.Forget(webKey)
		v.put(subject{webKey, "replaced"}, "q", ask)
		last, other := atomic.Int32{}, subject{webKey, "replaced"}
		v.put(other, "r", func(context.Context) (traffic.Proof, error) { last.Add(1); return no, nil })
		time.Sleep(time.Minute) // virtual
		synctest.Wait()
		if len(*asked) != 0 || last.Load() != 6 {
			t.Errorf("asked %v, %d", *asked, last.Load())
		}
		time.Sleep(3 * time.Hour) // virtual
		synctest.Wait()
		if n := last.Load(); n > 362 {
			t.Errorf("asked %d times for nobody", n)
		}
		v.put(subject{webKey, "new"}, "q", ask)
		if len(v.pursued) != 1 {
			t.Errorf("%d questions are kept", len(v.pursued))
		}
		v.Close()
		if p := v.put(other, "late", ask); p.Holds {
			t.Error("a closed one answers")
		}
	})
}

func TestSoManyQuestionsAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := NewVerifier(VerifierOptions{})
		now, most := 0, 0
		for i := range 20 {
			v.put(subject{webKey, fmt.Sprint(i)}, "q", func(ctx context.Context) (traffic.Proof, error) {
				v.mu.Lock()
				now++
				most = max(most, now)
				v.mu.Unlock()
				<-ctx.Done() // it hangs
				v.mu.Lock()
				now--
				v.mu.Unlock()
				return traffic.Proof{}, ctx.Err()
			})
		}
		time.Sleep(10 * time.Minute) // virtual
		v.Close()
		if most != asking {
			t.Errorf("%d questions at a time", most)
		}
	})
}

// counting counts requests.
type counting struct{ n int }

func (c *counting) Do(*http.Request) (*http.Response, error) {
	c.n++
	return &http.Response{}, nil
}

func TestRequestsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, start := &counting{}, time.Now()
		l := limited{c, rate.NewLimiter(perSecond, burst)}
		for range 30 {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://aws", nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := l.Do(r); err != nil { //nolint:bodyclose // there is none
				t.Fatal(err)
			}
		}
		if d := time.Since(start); c.n != 30 || d < 3900*time.Millisecond {
			t.Errorf("%d requests in %s", c.n, d)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://aws", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Do(r); !errors.Is(err, context.Canceled) { //nolint:bodyclose // there is none
			t.Errorf("got %v", err)
		}
	})
}

func TestTheContractHoldsWithAWS(t *testing.T) {
	v := verifierOn(t, newFakeELB())
	f := fixture(t, section())
	f.New = func(r client.Reader, w client.Client) traffic.Router { return New(r, w, Options{Verifier: v.Verifier}) }
	f.Shape = nil
	routertest.Run(t, f)
}
