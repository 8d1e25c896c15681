package bench

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
)

// Result is one measured run. Figures per Rollout are means.
type Result struct {
	Workload   string `json:"workload"`
	Controller string `json:"controller"`
	Rollouts   int    `json:"rollouts"`
	Replicas   int32  `json:"replicas"`
	// Writes hold the events too.
	Writes float64 `json:"writes_per_rollout"`
	Events float64 `json:"events_per_rollout"`
	// Reads are gets, lists and watches, of which the totals follow.
	Reads   float64 `json:"reads_per_rollout"`
	Gets    int     `json:"gets"`
	Lists   int     `json:"lists"`
	Watches int     `json:"watches"`
	// CPU is the controller's, in user and kernel mode.
	CPU     float64 `json:"cpu_ms_per_rollout"`
	Seconds float64 `json:"seconds"`
	// RSS is the controller's largest resident memory, in MB of 2²⁰ bytes.
	RSS float64 `json:"rss_mb"`
	// SandboxCPU is what API server, node and all the rest have used meanwhile.
	SandboxCPU float64 `json:"sandbox_cpu_seconds"`

	names, agents, told map[string]int
}

// Ratio compares two runs of one workload: ours divided by the other's, so that below 1
// is better.
type Ratio struct {
	Workload string  `json:"workload"`
	Rollouts int     `json:"rollouts"`
	Ours     string  `json:"ratio_of"`
	Other    string  `json:"to"`
	Writes   float64 `json:"writes"`
	Reads    float64 `json:"reads"`
	Events   float64 `json:"events"`
	CPU      float64 `json:"cpu"`
	Seconds  float64 `json:"seconds"`
	RSS      float64 `json:"rss"`
}

func compare(ours, other Result) Ratio {
	return Ratio{
		Workload: ours.Workload, Rollouts: ours.Rollouts, Ours: ours.Controller, Other: other.Controller,
		Writes: ratio(ours.Writes, other.Writes), Reads: ratio(ours.Reads, other.Reads), Events: ratio(ours.Events, other.Events),
		CPU: ratio(ours.CPU, other.CPU), Seconds: ratio(ours.Seconds, other.Seconds), RSS: ratio(ours.RSS, other.RSS),
	}
}

// ratio is 0 where there is nothing to divide by, since JSON knows no infinity.
func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return round(a/b, 3)
}

func round(x float64, digits int) float64 {
	scale := math.Pow10(digits)
	return math.Round(x*scale) / scale
}

func (r *Result) take(t tally) {
	per := func(n int) float64 { return round(float64(n)/float64(r.Rollouts), 2) }
	r.Writes, r.Events, r.Reads = per(t.writes), per(t.events), per(t.gets+t.lists+t.watches)
	r.Gets, r.Lists, r.Watches = t.gets, t.lists, t.watches
	r.names, r.agents = t.names, t.agents
}

// table says which requests make up a result, most frequent first.
func (r *Result) table(out io.Writer) {
	fmt.Fprintf(out, "%s of %s with %d rollouts, requests per rollout:\n", r.Workload, r.Controller, r.Rollouts)
	for _, counts := range []map[string]int{r.names, r.told, r.agents} {
		for _, name := range byCount(counts) {
			fmt.Fprintf(out, "  %8.2f  %s\n", float64(counts[name])/float64(r.Rollouts), name)
		}
		fmt.Fprintln(out)
	}
}

// byCount are the names, most frequent first.
func byCount(counts map[string]int) []string {
	return slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
}

func printJSON(out io.Writer, v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", line)
	return err
}
