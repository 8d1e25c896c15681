package rollout

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// StatusSubresource is the value of Patch.Subresource for the status.
const StatusSubresource = "status"

// Patch is one JSON merge patch of a Rollout, or of an AnalysisRun or Experiment, that
// carries a user's wish. The bytes are published (surfaces.md §1.3): other tools and
// controllers know them.
type Patch struct {
	// Subresource is StatusSubresource, or "" for the main resource.
	Subresource string
	Body        []byte
	// Unified is for an API server that answers NotFound to a patch of the status
	// because the CRD has no such subresource. Sent to the main resource it replaces
	// this patch and all that follow. It is nil for patches of the main resource.
	Unified []byte
}

// PromoteOptions choose how far a promotion goes; the zero value ends the present pause
// or step. At most one may be set.
type PromoteOptions struct {
	// Full skips everything that is left.
	Full bool
	// SkipCurrent and SkipAll move the step index and nothing else.
	SkipCurrent, SkipAll bool
}

// The published refusals of Promote.
var (
	errSkipBoth      = errors.New("Cannot use skip-current-step and skip-all-steps flags at the same time")                     //nolint:staticcheck // published text
	errSkipBlueGreen = errors.New("Cannot skip steps of a bluegreen rollout. Run without a flags")                              //nolint:staticcheck // published text
	errSkipNoSteps   = errors.New("Cannot skip steps of a rollout without steps")                                               //nolint:staticcheck // published text
	errFullAndSkip   = errors.New("cannot promote fully and skip steps at the same time")                                       // ours
	errNotObserved   = errors.New("the controller has not yet seen the latest spec, so there is nothing to promote; try again") // ours
)

const unpauseSpec = `{"spec":{"paused":false}}`

// Abort sends traffic and pods back to the stable revision.
func Abort() []Patch { return []Patch{statusPatch(`{"status":{"abort":true}}`)} }

// Retry starts an aborted update anew.
func Retry() []Patch { return []Patch{statusPatch(`{"status":{"abort":false}}`)} }

// Pause holds the rollout where it is until Promote.
func Pause() []Patch { return []Patch{{Body: []byte(`{"spec":{"paused":true}}`)}} }

// RestartAt asks for all pods that were made before a moment to be replaced. A moment to
// come is waited for.
func RestartAt(at time.Time) []Patch {
	return []Patch{{Body: fmt.Appendf(nil, `{"spec":{"restartAt":%q}}`, at.UTC().Format(time.RFC3339))}}
}

// Terminate ends an AnalysisRun or an Experiment.
func Terminate() []Patch { return []Patch{{Body: []byte(`{"spec":{"terminate":true}}`)}} }

// RetryExperiment starts an Experiment anew: it forgets how far it was. Its status is
// part of the main resource, whose spec it leaves alone.
func RetryExperiment() []Patch { return []Patch{{Body: []byte(`{"status":null}`)}} }

// Promote lets the rollout go on, in the order in which the patches are to be sent. No
// patches and no error mean that there is nothing to promote: say so. A rollout that is
// paused by spec.paused is only unpaused; its step is not skipped as well.
//
// The errors are those published for the skip options, and one for a full promotion of
// a spec that the controller has not seen.
func Promote(r *v1alpha1.Rollout, o PromoteOptions) ([]Patch, error) {
	switch {
	case o.SkipCurrent && o.SkipAll:
		return nil, errSkipBoth
	case o.Full && (o.SkipCurrent || o.SkipAll):
		return nil, errFullAndSkip
	case o.SkipCurrent || o.SkipAll:
		return skip(r, o.SkipAll)
	case o.Full:
		return promoteFull(r)
	}
	return promoteStep(r), nil
}

func skip(r *v1alpha1.Rollout, all bool) ([]Patch, error) {
	if r.Spec.Strategy.BlueGreen != nil {
		return nil, errSkipBlueGreen
	}
	n := stepCount(r)
	if n == 0 {
		return nil, errSkipNoSteps
	}
	if !all {
		n = nextStep(r)
	}
	return []Patch{statusPatch(fmt.Sprintf(`{"status":{"currentStepIndex":%d}}`, n))}, nil
}

func promoteFull(r *v1alpha1.Rollout) (patches []Patch, err error) {
	if r.Status.CurrentPodHash != r.Status.StableRS {
		patches = append(patches, Patch{
			Subresource: StatusSubresource,
			Body:        []byte(`{"status":{"promoteFull":true}}`),
			Unified:     []byte(`{"spec":{"paused":false},"status":{"promoteFull":true}}`),
		})
	} else if seen, err := strconv.ParseInt(r.Status.ObservedGeneration, 10, 64); err == nil && seen < r.Generation {
		return nil, errNotObserved
	}
	if r.Spec.Paused {
		patches = append(patches, Patch{Body: []byte(unpauseSpec)})
	}
	return patches, nil
}

func promoteStep(r *v1alpha1.Rollout) (patches []Patch) {
	paused := len(r.Status.PauseConditions) > 0
	run := r.Status.Canary.CurrentStepAnalysisRunStatus
	undecided := run != nil && run.Status == v1alpha1.AnalysisPhaseInconclusive
	wish := ""
	switch {
	case paused && undecided && r.Status.ControllerPause:
		// Without the step index the same inconclusive run would pause the rollout again.
		wish = fmt.Sprintf(`"status":{"pauseConditions":null,"controllerPause":false,"currentStepIndex":%d}`, nextStep(r))
	case paused:
		wish = `"status":{"pauseConditions":null}`
	case stepCount(r) > 0 && !r.Spec.Paused:
		wish = fmt.Sprintf(`"status":{"pauseConditions":null,"currentStepIndex":%d}`, nextStep(r))
	}
	if wish != "" {
		patches = append(patches, Patch{
			Subresource: StatusSubresource,
			Body:        []byte("{" + wish + "}"),
			Unified:     []byte(`{"spec":{"paused":false},` + wish + "}"),
		})
	}
	if r.Spec.Paused {
		patches = append(patches, Patch{Body: []byte(unpauseSpec)})
	}
	return patches
}

// stepCount is the number of canary steps, 0 for blue-green.
func stepCount(r *v1alpha1.Rollout) int32 {
	if r.Spec.Strategy.Canary == nil {
		return 0
	}
	return int32(len(r.Spec.Strategy.Canary.Steps))
}

// nextStep is the index after the present one, at most the number of steps.
func nextStep(r *v1alpha1.Rollout) int32 {
	var index int32
	if r.Status.CurrentStepIndex != nil {
		index = max(0, *r.Status.CurrentStepIndex)
	}
	return min(index, stepCount(r)-1) + 1
}

func statusPatch(body string) Patch {
	return Patch{Subresource: StatusSubresource, Body: []byte(body), Unified: []byte(body)}
}
