package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/penstock-io/penstock/examples"
	"github.com/penstock-io/penstock/sandbox/cluster"
	"github.com/penstock-io/penstock/sandbox/load"
)

// DefaultRate is the load in requests per second.
const DefaultRate = 200

// What examples/demo holds.
const (
	namespace     = "default"
	rolloutName   = "demo"
	canaryService = "demo-canary"
	host          = "demo.example"
	goodImage     = "penstock/demo:v2"
	badImage      = "penstock/demo:v3-fails-5pct-slow-300ms"
)

// Options of Run and Play.
type Options struct {
	// Rate is the load in requests per second; 0 means DefaultRate.
	Rate float64
	// Dir and PortBase are those of the cluster.
	Dir      string
	PortBase int
	// Keep leaves the cluster up until the context ends.
	Keep bool
	// Out gets the lines, the table and the JSON; Err what comes after the JSON.
	Out, Err io.Writer
}

// ErrWrong means that the demo ended otherwise than it must; what was wrong is in the text.
var ErrWrong = errors.New("the demo did not go as it must")

// Run starts a cluster, plays the demo on it and stops it. The last line on o.Out is the
// Result as JSON, unless the cluster did not start or ctx ended.
func Run(ctx context.Context, o Options) error {
	began := time.Now()
	tell := &teller{out: o.Out}
	if _, err := newLoad("http://127.0.0.1:1", o.Rate); err != nil {
		return err
	}
	arrivals := &Arrivals{}
	tell.say("demo", "a real API server and real traffic, in one process: v2 is promoted, v3 is taken back, in about a minute; Ctrl-C ends it")
	c, err := cluster.Start(ctx, cluster.Options{
		Dir: o.Dir, PortBase: o.PortBase, OnMeasurement: arrivals.Add,
		Progress: func(s string) { tell.say("cluster", "%s", s) },
	})
	if err != nil {
		return err
	}
	defer c.Stop()
	tell.say("cluster", "up after %.1f s; export KUBECONFIG=%s", time.Since(began).Seconds(), c.Kubeconfig())
	result, err := play(ctx, c, arrivals, tell, o.Rate, began)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	result.Seconds = round(time.Since(began).Seconds(), 1)
	problems := result.Problems()
	if err != nil {
		problems = append([]string{err.Error()}, problems...)
	}
	if err := finish(o, c, result, problems); err != nil {
		return err
	}
	if o.Keep {
		fmt.Fprintln(o.Err, "Ctrl-C ends the cluster.") //nolint:errcheck // nobody may be listening
		select {
		case <-ctx.Done():
		case <-c.Done():
			return c.Err()
		}
	}
	if len(problems) > 0 {
		return fmt.Errorf("%w: %s; the logs are in %s", ErrWrong, strings.Join(problems, "; "), c.KeepLogs())
	}
	return nil
}

// finish prints the table, what was wrong, and the JSON as the last line.
func finish(o Options, c *cluster.Cluster, result Result, problems []string) error {
	var b strings.Builder
	b.WriteString("\n")
	if err := result.table(&b); err != nil {
		return fmt.Errorf("print the table: %w", err)
	}
	b.WriteString("\n")
	for _, p := range problems {
		fmt.Fprintf(&b, "wrong: %s\n", p)
	}
	if o.Keep {
		fmt.Fprintf(&b, "The cluster stays up: export KUBECONFIG=%s\nThe demo application is at %s with Host: %s; Prometheus at %s\n",
			c.Kubeconfig(), c.Gateway().URL(), host, c.PrometheusURL())
	}
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false) // reasons contain ">"
	if err := encoder.Encode(result); err != nil {
		return fmt.Errorf("encode the result: %w", err)
	}
	_, err := io.WriteString(o.Out, b.String())
	return err
}

// Play plays the demo on a running cluster whose OnMeasurement is arrivals.Add, and
// tells it on out. The Result is valid, if incomplete, after an error too.
func Play(ctx context.Context, c *cluster.Cluster, arrivals *Arrivals, out io.Writer, rate float64) (Result, error) {
	began := time.Now()
	result, err := play(ctx, c, arrivals, &teller{out: out}, rate, began)
	result.Seconds = round(time.Since(began).Seconds(), 1)
	return result, err
}

func play(ctx context.Context, c *cluster.Cluster, arrivals *Arrivals, tell *teller, rate float64, began time.Time) (result Result, err error) {
	result.Bad.AbortMS = -1
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	objects, err := cluster.DecodeFiles(examples.Files, "demo")
	if err != nil {
		return result, err
	}
	if err := c.Apply(ctx, namespace, objects...); err != nil {
		return result, err
	}
	tell.say("apply", "examples/demo: a Rollout of 10 pods, two Services, a VirtualService, an AnalysisTemplate")
	d := &stage{cluster: c, arrivals: arrivals, tell: tell, events: watchAll(ctx, c.Client(), namespace), told: map[string]string{}}
	if err := d.firstHealthy(ctx); err != nil {
		return result, err
	}
	tell.say("rollout", "v1 is Healthy, %.1f s after the start", time.Since(began).Seconds())

	if d.load, err = newLoad(c.Gateway().URL(), rate); err != nil {
		return result, err
	}
	loading, stop := context.WithCancel(ctx)
	loaded := make(chan struct{})
	go func() {
		defer close(loaded)
		d.load.Run(loading)
	}()
	defer func() {
		stop()
		<-loaded
	}()
	tell.say("load", "%v requests a second go through %s with Host: %s", orDefault(rate), c.Gateway().URL(), host)
	if result.Good, err = d.good(ctx); err != nil {
		return result, err
	}
	result.Bad, err = d.bad(ctx)
	return result, err
}

func orDefault(rate float64) float64 {
	if rate == 0 {
		return DefaultRate
	}
	return rate
}

func newLoad(url string, rate float64) (*load.Generator, error) {
	return load.New(load.Options{URL: url, Host: host, RatePerSecond: orDefault(rate)})
}
