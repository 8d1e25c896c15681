package kube

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/analysis"
	"github.com/penstock-io/penstock/internal/loop"
	"github.com/penstock-io/penstock/internal/metric"
)

// +kubebuilder:rbac:groups="",resources=secrets,verbs=get

// Measuring is one entry of the table of providers.
type Measuring struct {
	// Name is for messages, such as "prometheus".
	Name string
	// Uses reports whether a metric asks for this provider.
	Uses     func(*v1alpha1.MetricProvider) bool
	Provider metric.Provider
}

// Pool takes measurements in the background, a bounded number at a time, and keeps what
// they brought until it is persisted. A crash loses only that.
type Pool struct {
	// Live reads Secrets; they are in no cache.
	Live client.Reader
	// Providers is the table of providers; the first that a metric asks for is used.
	Providers []Measuring
	// Timeout bounds one measurement; default 2 min.
	Timeout time.Duration
	// Wake asks for a pass of the run.
	Wake func(context.Context, loop.Key)
	// OnMeasurement is told of every measurement when it arrives; may be nil.
	OnMeasurement func(run, metric string, phase v1alpha1.AnalysisPhase, at time.Time)
	// Now is the clock.
	Now func() time.Time

	ctx   context.Context
	stop  context.CancelFunc
	width int // slots of each source
	mu    sync.Mutex
	lanes map[string]*lane
	runs  map[loop.Key]*inHand
	work  sync.WaitGroup
}

// inHand is what the pool holds of one run.
type inHand struct {
	uid        types.UID
	ctx        context.Context
	cancel     context.CancelFunc
	began      *metav1.Time // of the run, also while that is not persisted
	busy       map[string]bool
	arrived    []arrival
	secretsErr string
}

type arrival struct {
	analysis.Outcome
	at time.Time
}

// job is one measurement to take, or to stop.
type job struct {
	run   *v1alpha1.AnalysisRun
	index int
	name  string
	token string
	stop  bool
	// number counts the metric's measurements from 1.
	number int
}

const (
	defaultMeasureTimeout = 2 * time.Minute
	defaultWorkers        = 30
)

// NewPool makes a pool that asks each source so many things at a time, 0 for 30. Close ends it.
func NewPool(live client.Reader, workers int, now func() time.Time) *Pool {
	if workers <= 0 {
		workers = defaultWorkers
	}
	p := &Pool{Live: live, Timeout: defaultMeasureTimeout, Now: now, runs: map[loop.Key]*inHand{},
		width: workers, lanes: map[string]*lane{}, Wake: func(context.Context, loop.Key) {}}
	p.ctx, p.stop = context.WithCancel(context.Background())
	return p
}

// Close cancels all measurements and waits for them.
func (p *Pool) Close() {
	p.mu.Lock()
	p.stop()
	p.mu.Unlock()
	p.work.Wait()
}

// of returns what is held of the run; one of the same name that was before it is
// dropped. The caller holds the lock.
func (p *Pool) of(key loop.Key, uid types.UID) *inHand {
	h := p.runs[key]
	if h != nil && h.uid == uid {
		return h
	}
	if h != nil {
		h.cancel()
	}
	h = &inHand{uid: uid, busy: map[string]bool{}}
	h.ctx, h.cancel = context.WithCancel(p.ctx)
	p.runs[key] = h
	return h
}

// facts returns a copy of what is held of the run.
func (p *Pool) facts(key loop.Key, uid types.UID) inHand {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.runs[key]
	if h == nil || h.uid != uid {
		return inHand{}
	}
	busy := make(map[string]bool, len(h.busy))
	for k := range h.busy {
		busy[k] = true
	}
	return inHand{uid: uid, began: h.began, busy: busy, arrived: slices.Clone(h.arrived), secretsErr: h.secretsErr}
}

// begin keeps when a run began.
func (p *Pool) begin(key loop.Key, uid types.UID, at *metav1.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if h := p.of(key, uid); h.began == nil {
		h.began = at
	}
}

// drop forgets the first n outcomes, which are persisted.
func (p *Pool) drop(key loop.Key, uid types.UID, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if h := p.runs[key]; h != nil && h.uid == uid {
		h.arrived = slices.Clone(h.arrived[n:])
	}
}

func (p *Pool) forget(key loop.Key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if h := p.runs[key]; h != nil {
		h.cancel()
		delete(p.runs, key)
	}
}

// start takes a job on, unless the metric is being worked on already.
func (p *Pool) start(j job) {
	key := client.ObjectKeyFromObject(j.run)
	p.mu.Lock()
	h := p.of(key, j.run.UID)
	if h.busy[j.name] || p.ctx.Err() != nil {
		p.mu.Unlock()
		return
	}
	h.busy[j.name] = true
	ctx := h.ctx
	p.work.Add(1)
	p.mu.Unlock()
	go func() {
		defer p.work.Done()
		source := ""
		if j.index < len(j.run.Spec.Metrics) {
			source = sourceOf(&j.run.Spec.Metrics[j.index].Provider)
		}
		leave, ok := p.enter(ctx, source)
		if !ok {
			return
		}
		defer leave()
		o, secretsErr := p.measure(ctx, j)
		if ctx.Err() == nil {
			p.arrive(ctx, key, h, j, o, secretsErr)
		}
	}()
}

// arrive stores an outcome and asks for a pass.
func (p *Pool) arrive(ctx context.Context, key loop.Key, h *inHand, j job, o analysis.Outcome, secretsErr string) {
	at := p.Now()
	p.mu.Lock()
	delete(h.busy, j.name)
	if h.secretsErr = secretsErr; secretsErr == "" {
		h.arrived = append(h.arrived, arrival{o, at})
	}
	p.mu.Unlock()
	if p.OnMeasurement != nil && secretsErr == "" {
		p.OnMeasurement(j.run.Name, j.name, phaseOf(j.run.Spec, o, at), at)
	}
	p.Wake(ctx, key)
}

// phaseOf is the phase that the measurement gets by itself.
func phaseOf(spec v1alpha1.AnalysisRunSpec, o analysis.Outcome, at time.Time) v1alpha1.AnalysisPhase {
	st := analysis.Fold(v1alpha1.AnalysisRunStatus{}, spec, []analysis.Outcome{o}, at)
	if len(st.MetricResults) == 0 || len(st.MetricResults[0].Measurements) == 0 {
		return ""
	}
	return st.MetricResults[0].Measurements[0].Phase
}

// measure takes one measurement. secretsErr is set when a Secret that the run names
// cannot be had for good.
func (p *Pool) measure(ctx context.Context, j job) (o analysis.Outcome, secretsErr string) {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	o = analysis.Outcome{Name: j.name, Started: p.Now(), Stopped: j.stop}
	defer func() {
		if v := recover(); v != nil {
			log.FromContext(ctx).Error(fmt.Errorf("%v", v), "a metric provider panicked", "run", j.run.Name, "metric", j.name, "stack", string(debug.Stack()))
			o.Err = fmt.Sprintf("the metric provider panicked: %v", v)
		}
	}()
	secrets, forGood, err := p.secrets(ctx, j.run)
	switch {
	case err != nil && forGood:
		return o, err.Error()
	case err != nil:
		o.Err = err.Error()
		return o, ""
	}
	for _, v := range secrets {
		o.Secrets = append(o.Secrets, v)
	}
	metrics, err := analysis.Resolve(j.run.Spec, secrets)
	if err != nil || j.index >= len(metrics) {
		o.Err = fmt.Sprintf("resolve metric %s: %v", j.name, err)
		return o, ""
	}
	o.Metric = metrics[j.index]
	p.ask(ctx, j, &o)
	return o, ""
}

// ask takes the measurement, or stops it.
func (p *Pool) ask(ctx context.Context, j job, o *analysis.Outcome) {
	provider := p.provider(&o.Metric.Provider)
	if provider == nil {
		o.Err = fmt.Sprintf("no valid provider in metric '%s'", j.name)
		return
	}
	interval, err := o.Metric.Interval.Duration()
	if err != nil {
		interval = 0 // the planner has refused such a run
	}
	req := metric.Request{
		Namespace: j.run.Namespace, Run: j.run.Name, RunUID: j.run.UID, Metric: j.name, Number: j.number, Provider: o.Metric.Provider,
		Interval: interval, Now: o.Started, Token: j.token, Secrets: o.Secrets,
		Stored: j.run, Whole: &o.Metric, InFlight: analysis.InFlight(&j.run.Status, j.name),
	}
	if at := j.run.Status.StartedAt; at != nil {
		req.RunStarted = at.Time
	}
	switch {
	case !j.stop:
		o.Result, err = analysis.Take(&o.Metric, req.InFlight != nil, func(of string, source v1alpha1.MetricProvider) (metric.Result, error) {
			return p.question(ctx, req, o, of, source)
		})
		p.collect(ctx, j, req, provider, o)
	default:
		if s, ok := provider.(metric.Stopper); ok {
			err = s.Stop(ctx, req)
		}
	}
	if err != nil {
		o.Err = err.Error()
	}
}

// question puts one of a measurement's questions to its source. The status keeps what is
// asked from the first measurement on, so it is described for that one only.
func (p *Pool) question(ctx context.Context, req metric.Request, o *analysis.Outcome, of string, source v1alpha1.MetricProvider) (metric.Result, error) {
	req.Provider = source
	provider := p.provider(&source)
	if provider == nil {
		return metric.Result{}, fmt.Errorf("no valid provider in metric '%s'", req.Metric)
	}
	if req.Number <= 1 && of != analysis.Counted {
		for k, v := range provider.Describe(req) {
			if o.Describe == nil {
				o.Describe = map[string]string{}
			}
			if of != "" {
				k = of + "." + k
			}
			o.Describe[k] = v
		}
	}
	return provider.Measure(ctx, req)
}

// collect lets a provider clear away what measurements have left that the status forgets.
func (p *Pool) collect(ctx context.Context, j job, req metric.Request, provider metric.Provider, o *analysis.Outcome) {
	c, ok := provider.(metric.Collector)
	if !ok || o.Result.Kind == metric.Pending {
		return
	}
	if err := c.Collect(ctx, req, analysis.Retention(j.run.Spec, j.name)); err != nil {
		log.FromContext(ctx).Info("what old measurements have left is still there", "run", j.run.Name, "metric", j.name, "why", metric.Redact(err.Error(), o.Secrets))
	}
}

func (p *Pool) provider(m *v1alpha1.MetricProvider) metric.Provider {
	if i := p.entry(m); i >= 0 {
		return p.Providers[i].Provider
	}
	return nil
}

// entry is the place of a provider in the table; -1 for none.
func (p *Pool) entry(m *v1alpha1.MetricProvider) int {
	return slices.IndexFunc(p.Providers, func(x Measuring) bool { return x.Uses(m) })
}

// problem says what a provider would refuse of a run, without asking anybody.
func (p *Pool) problem(run *v1alpha1.AnalysisRun) string {
	metrics, err := analysis.Resolve(run.Spec, nil)
	if err != nil {
		return "" // the planner says so in the published words
	}
	for i := range metrics {
		if why := p.refuses(&metrics[i].Provider); why != "" {
			return fmt.Sprintf("metrics[%d].provider%s", i, why)
		}
		if b := metrics[i].Baseline; b != nil {
			if why := p.refuses(new(b.Provider())); why != "" {
				return fmt.Sprintf("metrics[%d].baseline%s", i, why)
			}
		}
		if e := metrics[i].Evidence; e != nil {
			if why := p.refuses(new(e.Provider())); why != "" {
				return fmt.Sprintf("metrics[%d].evidence%s", i, why)
			}
		}
	}
	return ""
}

func (p *Pool) refuses(m *v1alpha1.MetricProvider) string {
	i := p.entry(m)
	if i < 0 {
		return ": there is no such provider in this version"
	}
	if c, ok := p.Providers[i].Provider.(metric.Checker); ok {
		if err := c.Check(*m); err != nil {
			return fmt.Sprintf(".%s: %v", p.Providers[i].Name, err)
		}
	}
	return ""
}

// secrets reads the args that come from Secrets, from the API server. forGood says that
// trying again is of no use: there is no such Secret or key.
func (p *Pool) secrets(ctx context.Context, run *v1alpha1.AnalysisRun) (values map[string]string, forGood bool, err error) {
	values = map[string]string{}
	for i, a := range run.Spec.Args {
		if a.ValueFrom == nil || a.ValueFrom.SecretKeyRef == nil {
			continue
		}
		ref := a.ValueFrom.SecretKeyRef
		secret := &corev1.Secret{}
		if err := p.Live.Get(ctx, loop.Key{Namespace: run.Namespace, Name: ref.Name}, secret); err != nil {
			return nil, apierrors.IsNotFound(err), fmt.Errorf("%w; spec.args[%d].valueFrom.secretKeyRef asks for it in namespace %s", err, i, run.Namespace)
		}
		v, ok := secret.Data[ref.Key]
		if !ok {
			return nil, true, fmt.Errorf("key '%s' does not exist in secret '%s'; spec.args[%d].valueFrom.secretKeyRef asks for it in namespace %s", ref.Key, ref.Name, i, run.Namespace)
		}
		values[a.Name] = string(v)
	}
	return values, false, nil
}
