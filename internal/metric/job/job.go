package job

import (
	"context"
	"errors"
	"fmt"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/internal/metric"
)

// The published keys of a measurement's metadata, and one of our own.
const (
	nameKey      = "job-name"
	namespaceKey = "job-namespace"
	// troubleKey holds why the Job or its pods could not be read, last time that happened.
	troubleKey = "job-last-read-error"
)

// errNoToken is the published text for a measurement that does not name its Job.
var errNoToken = errors.New("job metadata reference missing")

// Options are what the process gives.
type Options struct {
	// Client reads and writes Jobs, and lists pods, where the runs are. Its reads should be
	// live: to a cache that lags, a Job just made is missing, which ends the measurement.
	Client client.Client
	// Namespace is where all Jobs go (ARGO_ROLLOUTS_ANALYSIS_JOB_NAMESPACE); "" is the
	// namespace of the run.
	Namespace string
	// Elsewhere is for the cluster where Jobs go (ARGO_ROLLOUTS_ANALYSIS_JOB_KUBECONFIG);
	// nil is the cluster of the runs.
	Elsewhere client.Client
}

// Provider measures by Jobs.
type Provider interface {
	metric.Provider
	metric.Stopper
	metric.Collector
}

// New returns the provider.
func New(o Options) Provider { return &provider{o} }

type provider struct{ options Options }

// place is where the Jobs of a run are.
type place struct {
	client.Client
	namespace string
	// owned says that the run can own Jobs there.
	owned bool
}

func (p *provider) place(r metric.Request) place {
	at := place{Client: p.options.Client, namespace: p.options.Namespace, owned: p.options.Elsewhere == nil}
	if p.options.Elsewhere != nil {
		at.Client = p.options.Elsewhere
	}
	if at.namespace == "" {
		at.namespace = r.Namespace
	}
	at.owned = at.owned && at.namespace == r.Namespace
	return at
}

// Describe shows nothing: the Job may hold secrets.
func (p *provider) Describe(metric.Request) map[string]string { return nil }

// Measure makes the Job, or with a Token says what became of it.
func (p *provider) Measure(ctx context.Context, r metric.Request) (res metric.Result, err error) {
	if r.Token == "" {
		res, err = start(ctx, p.place(r), r)
	} else {
		res, err = look(ctx, p.place(r), r)
	}
	if err != nil {
		return metric.Result{}, sentence(err, r)
	}
	return res, nil
}

// Stop deletes the Job, and its pods before it.
func (p *provider) Stop(ctx context.Context, r metric.Request) error {
	if r.Token == "" {
		return errNoToken
	}
	at := p.place(r)
	job, err := find(ctx, at, r)
	if err == nil {
		err = at.Delete(ctx, job, client.PropagationPolicy(metav1.DeletePropagationForeground))
	}
	if client.IgnoreNotFound(err) == nil {
		return nil
	}
	return sentence(fmt.Errorf("delete job %s/%s: %w", at.namespace, r.Token, err), r)
}

func start(ctx context.Context, at place, r metric.Request) (metric.Result, error) {
	m := r.Provider.Job
	if m == nil {
		return metric.Result{}, fmt.Errorf("metric %s has no job provider", r.Metric)
	}
	job := build(r, m, at.namespace, at.owned)
	if err := at.Create(ctx, job); err != nil {
		if err := adopt(ctx, at, r, job.Name, err); err != nil {
			return metric.Result{}, fmt.Errorf("create job %s/%s: %w", at.namespace, job.Name, err)
		}
	}
	return metric.Result{Kind: metric.Pending, Token: job.Name, Metadata: metadata(at, job.Name)}, nil
}

// adopt is nil when the Job is there after a Create that failed, and is what it would have
// made: an earlier try got through, or this one did and only the answer was lost.
func adopt(ctx context.Context, at place, r metric.Request, name string, cause error) error {
	if !apierrors.IsAlreadyExists(cause) && !passing(cause) {
		return cause
	}
	job := &batchv1.Job{}
	err := at.Get(ctx, client.ObjectKey{Namespace: at.namespace, Name: name}, job)
	switch {
	case err == nil && same(job, r, at.owned):
		return nil
	case err == nil:
		return fmt.Errorf("%w: it is not of this run and metric", cause)
	case apierrors.IsAlreadyExists(cause):
		return err
	}
	return cause
}

// find reads the Job that the Token names.
func find(ctx context.Context, at place, r metric.Request) (*batchv1.Job, error) {
	job := &batchv1.Job{}
	if err := at.Get(ctx, client.ObjectKey{Namespace: at.namespace, Name: r.Token}, job); err != nil {
		return nil, err
	}
	// The Token comes from a status that others can write; it must not lead to foreign Jobs.
	if !belongs(job, r) {
		return nil, fmt.Errorf("job %s/%s is not of the analysis run %s", at.namespace, r.Token, r.Run)
	}
	return job, nil
}

func metadata(at place, name string) map[string]string {
	return map[string]string{nameKey: name, namespaceKey: at.namespace}
}

// sentence is the error in one line, without secrets.
func sentence(err error, r metric.Request) error { return errors.New(line(err.Error(), r)) }

func line(text string, r metric.Request) string {
	return strings.Join(strings.Fields(metric.Redact(text, r.Secrets)), " ")
}
