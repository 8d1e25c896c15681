package analysis

import (
	"fmt"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// Snapshot is every fact a decision about one AnalysisRun may use. It holds no secret.
type Snapshot struct {
	Now time.Time
	// Spec and Status are the run's, as last persisted.
	Spec   v1alpha1.AnalysisRunSpec
	Status v1alpha1.AnalysisRunStatus
	// Deleting is true once the run has a deletion timestamp.
	Deleting bool
	// SecretsErr says why the args that come from Secrets cannot be had, for good:
	// `secrets "x" not found`. A passing fault is an error of the observer, not a fact.
	SecretsErr string
	// Problem says what the provider of a metric would refuse, before anything is measured:
	// `metrics[0].provider.web: ...`.
	Problem string
	// Busy names the metrics whose measurement this process is taking right now; no
	// second one is asked for. May be nil.
	Busy map[string]bool
}

// Plan is what Decide answers.
type Plan struct {
	// Status is the complete next status, without the measurements asked for here.
	Status v1alpha1.AnalysisRunStatus
	// Actions are safe in any order, with any subset lost.
	Actions []Action
	// Wake is when to look again without an event; zero means only on events.
	Wake time.Time
	// Notes become events once the status is written.
	Notes []Note
}

// Note is one event: MetricFailed, AnalysisRunSuccessful and so on.
type Note struct {
	Warning         bool
	Reason, Message string
}

// Action is safe alone given the Snapshot that it was planned from.
type Action interface {
	fmt.Stringer
	action()
}

// Measure asks for a measurement: a new one, or with a Token what became of one that is
// in flight. Index is the metric's place in the spec, Metric its name in the status.
type Measure struct {
	Index         int
	Metric, Token string
}

// Stop ends the measurement in flight that Token names.
type Stop struct {
	Index         int
	Metric, Token string
}

// Delete removes the run, whose time to live is over.
type Delete struct{}

func (Measure) action() {}
func (Stop) action()    {}
func (Delete) action()  {}

func (a Measure) String() string {
	if a.Token != "" {
		return fmt.Sprintf("resume metric %s", a.Metric)
	}
	return fmt.Sprintf("measure metric %s", a.Metric)
}
func (a Stop) String() string { return fmt.Sprintf("stop metric %s", a.Metric) }
func (Delete) String() string { return "delete the run" }
