package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/penstock-io/penstock/sandbox/process"
)

// interval is how often a running AnalysisRun measures.
const interval = 10 * time.Second

// Load is how much there is to do in the workloads A1, A2 and A3.
type Load struct {
	// Finished AnalysisRuns in A1, Running ones in A2, Hanging ones in A3.
	Finished, Running, Hanging int
	// Window is how long A1 and A2 measure.
	Window time.Duration
	// Repeats are the releases that go bad in A3.
	Repeats int
}

// check refuses what would measure nothing.
func (l Load) check() error {
	if min(l.Finished, l.Running, l.Hanging, l.Repeats) < 1 || l.Window <= 0 {
		return fmt.Errorf("measure analysis: every number must be positive, not %+v", l)
	}
	return nil
}

// Window is what a controller used over a span of time in which nothing was asked of it
// but to go on. Counts are totals of that time.
type Window struct {
	Workload   string  `json:"workload"`
	Controller string  `json:"controller"`
	Runs       int     `json:"runs"`
	Seconds    float64 `json:"seconds"`
	// Cores are seconds of CPU time for each second.
	Cores float64 `json:"cores"`
	// RSS is the controller's largest resident memory, in MB of 2²⁰ bytes.
	RSS      float64 `json:"rss_mb"`
	Requests int     `json:"requests"`
	Writes   int     `json:"writes"` // events included
	Events   int     `json:"events"`
	// What came before the window, from the start of the process on.
	StartSeconds float64 `json:"start_seconds"`
	StartCPU     float64 `json:"start_cpu_seconds"`
	StartRSS     float64 `json:"start_rss_mb"`
	// Of A2 only.
	*Measured
	// SandboxCores are those of API server, sources and all the rest of this process,
	// OtherCores those of whatever else the machine was doing.
	SandboxCores float64 `json:"sandbox_cores"`
	OtherCores   float64 `json:"other_cores"`

	names, agents map[string]int
}

// Measured says whether a controller has done what it was there for.
type Measured struct {
	// Measurements are those that the source has answered, Due those that it should have.
	Measurements int `json:"measurements"`
	Due          int `json:"due"`
	// StillRunning are the runs that had not ended after the window.
	StillRunning int `json:"still_running"`
	// WritesPerRunMinute are writes for each run and minute, events included.
	WritesPerRunMinute float64 `json:"writes_per_run_minute"`
}

// WindowRatio compares two windows of one workload: ours divided by the other's.
type WindowRatio struct {
	Workload     string  `json:"workload"`
	Runs         int     `json:"runs"`
	Ours         string  `json:"ratio_of"`
	Other        string  `json:"to"`
	Cores        float64 `json:"cores"`
	RSS          float64 `json:"rss"`
	Requests     float64 `json:"requests"`
	Writes       float64 `json:"writes"`
	StartCPU     float64 `json:"start_cpu"`
	StartRSS     float64 `json:"start_rss"`
	Measurements float64 `json:"measurements,omitempty"`
}

func compareWindows(ours, other Window) WindowRatio {
	r := WindowRatio{
		Workload: ours.Workload, Runs: ours.Runs, Ours: ours.Controller, Other: other.Controller,
		Cores: ratio(ours.Cores, other.Cores), RSS: ratio(ours.RSS, other.RSS),
		Requests: ratio(float64(ours.Requests), float64(other.Requests)), Writes: ratio(float64(ours.Writes), float64(other.Writes)),
		StartCPU: ratio(ours.StartCPU, other.StartCPU), StartRSS: ratio(ours.StartRSS, other.StartRSS),
	}
	if ours.Measured != nil && other.Measured != nil {
		r.Measurements = ratio(float64(ours.Measurements), float64(other.Measurements))
	}
	return r
}

// began fills what the time before the window has cost.
func (w *Window) began(p *process.Process, took time.Duration) {
	w.StartSeconds, w.StartCPU, w.StartRSS = round(took.Seconds(), 1), round(p.CPU().Seconds(), 2), round(p.Peak(), 1)
}

// over measures a controller for a while.
func (b *sandbox) over(ctx context.Context, p *process.Process, o Options, w *Window) error {
	fmt.Fprintf(o.Err, "%s of %s: it is measured for %s\n", w.Workload, w.Controller, o.Analysis.Window)
	profiled := profile(ctx, p, o, fmt.Sprintf("%s-%s-%d", w.Workload, w.Controller, w.Runs))
	p.ForgetPeak()
	from, cpu, around, busy := time.Now(), p.CPU(), ownCPU(), machineCPU()
	select {
	case <-time.After(o.Analysis.Window):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	took := time.Since(from).Seconds()
	cores := func(d time.Duration) float64 { return round(d.Seconds()/took, 4) }
	used, sandboxUsed, machineUsed := p.CPU()-cpu, ownCPU()-around, machineCPU()-busy
	w.Seconds, w.Cores, w.RSS = round(took, 2), cores(used), round(p.Peak(), 1)
	w.SandboxCores, w.OtherCores = cores(sandboxUsed), max(0, cores(machineUsed-used-sandboxUsed))
	err := b.log.read()
	w.take(b.log.since(from))
	return errors.Join(err, <-profiled, p.Trouble())
}

func (w *Window) take(t tally) {
	w.Requests, w.Writes, w.Events = t.writes+t.gets+t.lists+t.watches, t.writes, t.events
	w.names, w.agents = t.names, t.agents
}

// table says which requests were made, most frequent first.
func (w *Window) table(out io.Writer) {
	fmt.Fprintf(out, "%s of %s with %d analysisruns, requests in %.0f s:\n", w.Workload, w.Controller, w.Runs, w.Seconds)
	for _, counts := range []map[string]int{w.names, w.agents} {
		for _, name := range byCount(counts) {
			fmt.Fprintf(out, "  %8d  %s\n", counts[name], name)
		}
		fmt.Fprintln(out)
	}
}

// windows measures every candidate in turn, and prints the results and their ratios.
func windows(all []candidate, o Options, one func(c candidate, last bool) (Window, error)) error {
	var results []Window
	for i, c := range all {
		w, err := one(c, i == len(all)-1)
		if err != nil {
			return fmt.Errorf("measure %s with %d analysisruns: %w", c.name, w.Runs, err)
		}
		w.table(o.Err)
		if err := printJSON(o.Out, w); err != nil {
			return err
		}
		results = append(results, w)
	}
	if len(results) < 2 {
		return nil
	}
	return printJSON(o.Out, compareWindows(results[0], results[1]))
}
