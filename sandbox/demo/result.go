package demo

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// Result is what was measured. Its JSON is the last line of the demo.
type Result struct {
	Good Good `json:"good"`
	Bad  Bad  `json:"bad"`
	// Seconds is the time of the whole demo, from the start of the cluster.
	Seconds float64 `json:"seconds"`
}

// Good is the release of the healthy version.
type Good struct {
	Phase  v1alpha1.RolloutPhase `json:"phase"`
	Splits []Split               `json:"splits"`

	failed, requests uint64
}

// Split compares the weight that the route asked for with the share of requests that the
// gateway sent to the new version while it did, both in percent.
type Split struct {
	Want int     `json:"want"`
	Got  float64 `json:"got"`

	requests uint64
}

// Bad is the release of the version that fails 5 % of its requests.
type Bad struct {
	Phase v1alpha1.RolloutPhase `json:"phase"`
	// Reason is the Rollout's own sentence.
	Reason string `json:"reason"`
	// AbortMS are the milliseconds from the arrival of the failing measurement's answer
	// to the first moment that the route object says 100 % stable; -1 when it never did.
	AbortMS float64 `json:"abort_ms"`
	// FailedRequests of Requests were answered other than 2xx, or not at all, between
	// the release and the end of its last pod.
	FailedRequests uint64 `json:"failed_requests"`
	Requests       uint64 `json:"requests"`

	splits     []Split
	scaledDown bool
}

// wantSplits are the weights of examples/demo; the last one is the promotion.
var wantSplits = []int{5, 30, 60, 100}

// Problems lists what did not go as it must; none means that the demo succeeded.
func (r Result) Problems() (list []string) {
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if r.Good.Phase != v1alpha1.RolloutPhaseHealthy {
		add("the good version ended %s, not Healthy", orUnknown(r.Good.Phase))
	}
	for i, want := range wantSplits {
		switch {
		case i >= len(r.Good.Splits):
			add("the good version never got %d %%", want)
		case r.Good.Splits[i].Want != want:
			add("weight %d of the good version was %d %%, not %d %%", i+1, r.Good.Splits[i].Want, want)
		case r.Good.Splits[i].off():
			add("%d %% asked for were %.2f %% at the gateway", want, r.Good.Splits[i].Got)
		}
	}
	if r.Bad.Phase != v1alpha1.RolloutPhaseDegraded {
		add("the bad version ended %s, not Degraded", orUnknown(r.Bad.Phase))
	}
	if r.Bad.AbortMS < 0 {
		add("traffic never went back to stable after a failing measurement")
	}
	if !r.Bad.scaledDown {
		add("the bad version still has pods")
	}
	return list
}

// off allows 1 point, and 2 requests where there are few of them.
func (s Split) off() bool {
	return s.requests == 0 || math.Abs(s.Got-float64(s.Want)) > 1+200/float64(s.requests)
}

func orUnknown(p v1alpha1.RolloutPhase) string {
	if p == "" {
		return "without a phase"
	}
	return string(p)
}

// table is the short form for people.
func (r Result) table(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "RELEASE\tPHASE\tWEIGHT ASKED FOR → MEASURED AT THE GATEWAY\tFAILED REQUESTS")
	fmt.Fprintf(t, "v2, healthy\t%s\t%s\t%d of %d\n", orUnknown(r.Good.Phase), shares(r.Good.Splits), r.Good.failed, r.Good.requests)
	back := "never back to stable"
	if r.Bad.AbortMS >= 0 {
		back = fmt.Sprintf("back to stable in %.0f ms", r.Bad.AbortMS)
	}
	fmt.Fprintf(t, "v3, 5 %% errors\t%s\t%s, %s\t%d of %d\n", orUnknown(r.Bad.Phase), shares(r.Bad.splits), back, r.Bad.FailedRequests, r.Bad.Requests)
	return t.Flush()
}

func shares(splits []Split) string {
	if len(splits) == 0 {
		return "none"
	}
	var all []string
	for _, s := range splits {
		all = append(all, fmt.Sprintf("%d → %.1f %%", s.Want, s.Got))
	}
	return strings.Join(all, ", ")
}

// round keeps so many decimals.
func round(v float64, decimals int) float64 {
	p := math.Pow10(decimals)
	return math.Round(v*p) / p
}
