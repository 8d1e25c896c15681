package demo

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

func asItMust() Result {
	return Result{
		Good: Good{Phase: "Healthy", Splits: []Split{{5, 5.2, 1000}, {30, 29.5, 1000}, {60, 60, 1000}, {100, 100, 1000}}},
		Bad:  Bad{Phase: "Degraded", Reason: "failed (1) > failureLimit (0)", AbortMS: 21.5, FailedRequests: 3, Requests: 1000, scaledDown: true},
	}
}

func TestProblems(t *testing.T) {
	tests := map[string]struct {
		change func(*Result)
		want   []string
	}{
		"none": {func(*Result) {}, nil},
		"a good version that is not promoted": {
			func(r *Result) { r.Good.Phase, r.Good.Splits = "Degraded", r.Good.Splits[:2] },
			[]string{"the good version ended Degraded, not Healthy", "the good version never got 60 %", "the good version never got 100 %"},
		},
		"a split that is off by more than a point": {
			func(r *Result) { r.Good.Splits[0].Got = 6.3 }, []string{"5 % asked for were 6.30 % at the gateway"},
		},
		"a small deviation of few requests": {func(r *Result) { r.Good.Splits[0] = Split{5, 7.5, 80} }, nil},
		"a weight under which nothing was sent": {
			func(r *Result) { r.Good.Splits[0] = Split{Want: 5, Got: 5} }, []string{"5 % asked for were 5.00 % at the gateway"},
		},
		"a skipped weight": {
			func(r *Result) { r.Good.Splits = slices.Delete(r.Good.Splits, 1, 2) },
			[]string{"weight 2 of the good version was 60 %, not 30 %", "weight 3 of the good version was 100 %, not 60 %", "the good version never got 100 %"},
		},
		"a bad version that is promoted": {
			func(r *Result) { r.Bad = Bad{Phase: "Healthy", AbortMS: -1} },
			[]string{"the bad version ended Healthy, not Degraded", "traffic never went back to stable after a failing measurement", "the bad version still has pods"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := asItMust()
			test.change(&r)
			if got := r.Problems(); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestTheJSONHasThePublishedShape(t *testing.T) {
	r := asItMust()
	r.Seconds = 57.8
	got, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"good":{"phase":"Healthy","splits":[{"want":5,"got":5.2},{"want":30,"got":29.5},{"want":60,"got":60},{"want":100,"got":100}]},` +
		`"bad":{"phase":"Degraded","reason":"failed (1) \u003e failureLimit (0)","abort_ms":21.5,"failed_requests":3,"requests":1000},"seconds":57.8}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestTheTableIsShort(t *testing.T) {
	var b strings.Builder
	if err := asItMust().table(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"v2, healthy", "5 → 5.2 %, 30 → 29.5 %", "back to stable in 22 ms", "3 of 1000"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, b.String())
		}
	}
	if n := strings.Count(b.String(), "\n"); n != 3 {
		t.Errorf("it has %d lines, want 3", n)
	}
}

func TestArrivalsKeepTheFirstFailureOfARun(t *testing.T) {
	a := &Arrivals{}
	at := time.Unix(100, 0)
	a.Add("demo-abc-2-1", "errors", v1alpha1.AnalysisPhaseSuccessful, at)
	if _, ok := a.of("demo-abc-2-1"); ok || a.latest("demo-abc-") != "" {
		t.Error("a success counts as a failure")
	}
	a.Add("demo-abc-2-1", "errors", v1alpha1.AnalysisPhaseFailed, at.Add(1))
	a.Add("demo-abc-2-1", "p99", v1alpha1.AnalysisPhaseFailed, at.Add(2))
	a.Add("demo-xyz-3-1", "p99", v1alpha1.AnalysisPhaseFailed, at.Add(3))
	if f, _ := a.of("demo-abc-2-1"); f.metric != "errors" || !f.at.Equal(at.Add(1)) {
		t.Errorf("got %+v, want the first failure", f)
	}
	if got := a.latest("demo-abc-"); got != "demo-abc-2-1" {
		t.Errorf("the latest of the revision is %q", got)
	}
}

func TestCanaryWeight(t *testing.T) {
	for name, test := range map[string]struct {
		spec string
		want int
		ok   bool
	}{
		"a weight":               {"http: [{route: [{destination: {host: s}, weight: 70}, {destination: {host: c}, weight: 30}]}]", 30, true},
		"no weight":              {"http: [{route: [{destination: {host: c}}]}]", 0, true},
		"no such destination":    {"http: [{route: [{destination: {host: s}}]}]", 0, false},
		"no route":               {"http: []", 0, false},
		"a route of other shape": {"http: [7]", 0, false},
	} {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte("{spec: {"+test.spec+"}}"), &u.Object); err != nil {
			t.Fatal(err)
		}
		if got, ok := canaryWeight(u, "c"); got != test.want || ok != test.ok {
			t.Errorf("%s: got %d, %v, want %d, %v", name, got, ok, test.want, test.ok)
		}
	}
}

func TestPlain(t *testing.T) {
	for value, want := range map[string]string{"[0.04878048780487805]": "0.049", "0": "0", "[NaN]": "NaN", "[1,2]": "[1,2]", "ok": "ok"} {
		if got := plain(value); got != want {
			t.Errorf("plain(%s) = %s, want %s", value, got, want)
		}
	}
}
