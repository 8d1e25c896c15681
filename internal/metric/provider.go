package metric

import (
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// Kind says what a Result holds.
type Kind string

// The kinds of a Result.
const (
	// Values: Value holds what the condition sees as `result`.
	Values Kind = "Values"
	// NoData: the source answered, and has nothing: an empty vector, null, NaN.
	NoData Kind = "NoData"
	// Pending: the measurement goes on; ask again after Result.After with Token.
	Pending Kind = "Pending"
	// Verdict: the source has judged by itself; Result.Phase holds the verdict, and no
	// condition is asked.
	Verdict Kind = "Verdict"
)

// Request is one measurement to take, all arguments resolved.
type Request struct {
	// Namespace, Run and Metric name where it comes from, for errors and metrics.
	Namespace, Run, Metric string
	// RunUID is the run's, and Number counts the measurements of the metric from 1: both
	// name what is made outside, so that a second try finds it.
	RunUID types.UID
	Number int
	// Provider is the metric's provider section with arguments substituted. Read only.
	Provider v1alpha1.MetricProvider
	// Interval is the metric's interval, 0 if it has none.
	Interval time.Duration
	// Now is the moment of the measurement, RunStarted that of the run.
	Now, RunStarted time.Time
	// Stored is the run as it is stored, Whole the metric with arguments substituted, and
	// InFlight the measurement that goes on, nil for a new one: for plugins, that are told all.
	Stored   *v1alpha1.AnalysisRun
	Whole    *v1alpha1.Metric
	InFlight *v1alpha1.Measurement
	// Token is what a Pending result gave; empty at the first call.
	Token string
	// Secrets are the values that came out of Secrets; they never appear in a
	// Result or an error. Redact replaces them.
	Secrets []string
}

// Result is the answer to a Request.
type Result struct {
	Kind Kind
	// Value is the `result` of the condition: float64, []float64, Series, or any JSON value.
	Value any
	// Names says, for a list, what each number is of, such as {pod="a"}; may be shorter.
	Names []string
	// Display is the value for status.metricResults[].measurements[].value.
	Display string
	// Why says, with NoData, what was empty: "the query returned no series".
	Why string
	// Metadata goes into the measurement, such as the warnings of Prometheus.
	Metadata map[string]string
	// Token and After belong to Pending.
	Token string
	After time.Duration
	// Phase, one of the completed ones, and Message belong to Verdict.
	Phase   v1alpha1.AnalysisPhase
	Message string
}

// Provider measures.
//
// Measure may block and honours ctx; it is safe for concurrent use and keeps no state
// between calls except connections. The error names the cause in one sentence without
// secrets.
type Provider interface {
	Measure(ctx context.Context, r Request) (Result, error)
	// Describe returns what metricResults[].metadata shows of the resolved metric,
	// such as ResolvedPrometheusQuery; nil for nothing. It never holds a secret.
	Describe(r Request) map[string]string
}

// Stopper is for providers whose measurements live on outside, such as Jobs.
type Stopper interface {
	// Stop ends the measurement that the token names; ending one that is gone is no error.
	Stop(ctx context.Context, r Request) error
}

// Checker is for providers that can tell without asking anybody that a metric will not do:
// an address that is none, a duration that cannot be read. The error names the field first.
type Checker interface {
	Check(m v1alpha1.MetricProvider) error
}

// Collector is for providers that leave something behind for each measurement.
type Collector interface {
	// Collect removes what finished measurements of the metric have left, but for the
	// newest keep.
	Collect(ctx context.Context, r Request, keep int) error
}

// SecretReader reads the data of a Secret from the API server when it is needed; namespace
// "" is the controller's own. ErrNoSecret is the error for one that does not exist.
type SecretReader func(ctx context.Context, namespace, name string) (map[string][]byte, error)

// ErrNoSecret is the error of a SecretReader for a Secret that does not exist.
var ErrNoSecret = errors.New("no such Secret")
