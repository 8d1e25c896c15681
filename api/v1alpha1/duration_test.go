package v1alpha1_test

import (
	"math"
	"strconv"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// Covers: edge 24.
func TestPauseDuration(t *testing.T) {
	tests := map[string]struct {
		pause string
		want  int32
	}{
		"no duration waits for the user":           {`{}`, 0},
		"an integer is seconds":                    {`{"duration":90}`, 90},
		"zero is legal":                            {`{"duration":0}`, 0},
		"a negative integer stays negative":        {`{"duration":-1}`, -1},
		"a string of digits is seconds":            {`{"duration":"90"}`, 90},
		"the largest int32":                        {`{"duration":"2147483647"}`, math.MaxInt32},
		"digits beyond int32 are unreadable":       {`{"duration":"2147483648"}`, -1},
		"a Go duration":                            {`{"duration":"1h30m"}`, 5400},
		"zero as a Go duration":                    {`{"duration":"0s"}`, 0},
		"a Go duration is cut to seconds":          {`{"duration":"1999ms"}`, 1},
		"less than a second is nothing":            {`{"duration":"1ms"}`, 0},
		"a Go duration beyond int32 is unreadable": {`{"duration":"2000000h"}`, -1},
		"hexadecimal is unreadable":                {`{"duration":"0x10"}`, -1},
		"a day is no Go unit":                      {`{"duration":"1d"}`, -1},
		"an empty string is unreadable":            {`{"duration":""}`, -1},
		"prose is unreadable":                      {`{"duration":"soon"}`, -1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := decode[v1alpha1.RolloutPause](t, test.pause).DurationSeconds(); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

func FuzzPauseDuration(f *testing.F) {
	for _, seed := range []string{"", "0", "-1", "10", "1h30m", "1ms", "2562047h47m16s", "2147483648", "１", "+5", "0x1", "1e3"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		duration := intstr.FromString(text)
		got := v1alpha1.RolloutPause{Duration: &duration}.DurationSeconds()
		whole, numberErr := strconv.ParseInt(text, 10, 32)
		span, spanErr := time.ParseDuration(text)
		switch {
		case numberErr == nil:
			if int64(got) != whole {
				t.Errorf("%q is %d seconds, want %d", text, got, whole)
			}
		case spanErr != nil:
			if got != -1 {
				t.Errorf("%q is %d seconds, want -1 for what is neither a number nor a duration", text, got)
			}
		default:
			rest := span - time.Duration(got)*time.Second
			if got != -1 && (rest >= time.Second || rest <= -time.Second) {
				t.Errorf("%q is %d seconds, want %v cut to seconds", text, got, span)
			}
			if got == -1 && span > -time.Second && span <= math.MaxInt32*time.Second {
				t.Errorf("%q is unreadable, want %v cut to seconds", text, span)
			}
		}
	})
}

func TestDurationString(t *testing.T) {
	tests := map[string]struct {
		text    v1alpha1.DurationString
		want    time.Duration
		refused bool
	}{
		"absent is zero":     {"", 0, false},
		"a Go duration":      {"1m30s", 90 * time.Second, false},
		"digits lack a unit": {"90", 0, true},
		"prose":              {"soon", 0, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := test.text.Duration()
			if got != test.want || (err != nil) != test.refused {
				t.Errorf("got %v, %v, want %v and refused %v", got, err, test.want, test.refused)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	zero := int32(0)
	no := false
	var spec, zeroSpec v1alpha1.RolloutSpec
	zeroSpec.Replicas, zeroSpec.RevisionHistoryLimit, zeroSpec.ProgressDeadlineSeconds = &zero, &zero, &zero
	zeroSpec.Analysis = &v1alpha1.AnalysisRunStrategy{SuccessfulRunHistoryLimit: &zero, UnsuccessfulRunHistoryLimit: &zero}
	halfSpec := v1alpha1.RolloutSpec{Analysis: &v1alpha1.AnalysisRunStrategy{}}
	router := &v1alpha1.RolloutTrafficRouting{}
	thousand := int32(1000)
	tests := map[string]struct{ got, want any }{
		"replicas default to 1":                        {spec.ReplicasOrDefault(), int32(1)},
		"zero replicas are zero":                       {zeroSpec.ReplicasOrDefault(), int32(0)},
		"the history limit defaults to 10":             {spec.RevisionHistoryLimitOrDefault(), int32(10)},
		"a history limit of zero is zero":              {zeroSpec.RevisionHistoryLimitOrDefault(), int32(0)},
		"the deadline defaults to 600":                 {spec.ProgressDeadlineSecondsOrDefault(), int32(600)},
		"a deadline of zero is zero":                   {zeroSpec.ProgressDeadlineSecondsOrDefault(), int32(0)},
		"successful runs default to 5":                 {spec.SuccessfulRunHistoryLimitOrDefault(), int32(5)},
		"successful runs default to 5 in empty limits": {halfSpec.SuccessfulRunHistoryLimitOrDefault(), int32(5)},
		"zero successful runs are zero":                {zeroSpec.SuccessfulRunHistoryLimitOrDefault(), int32(0)},
		"unsuccessful runs default to 5":               {spec.UnsuccessfulRunHistoryLimitOrDefault(), int32(5)},
		"zero unsuccessful runs are zero":              {zeroSpec.UnsuccessfulRunHistoryLimitOrDefault(), int32(0)},
		"promotion is automatic":                       {(&v1alpha1.BlueGreenStrategy{}).AutoPromotionEnabledOrDefault(), true},
		"promotion waits when told to":                 {(&v1alpha1.BlueGreenStrategy{AutoPromotionEnabled: &no}).AutoPromotionEnabledOrDefault(), false},
		"the old revision stays 30 s":                  {(&v1alpha1.BlueGreenStrategy{}).ScaleDownDelaySecondsOrDefault(), int32(30)},
		"the preview stays 30 s after an abort":        {(&v1alpha1.BlueGreenStrategy{}).AbortScaleDownDelaySecondsOrDefault(), int32(30)},
		"without a router nothing stays":               {(&v1alpha1.CanaryStrategy{}).ScaleDownDelaySecondsOrDefault(), int32(0)},
		"with a router the old revision stays 30 s":    {(&v1alpha1.CanaryStrategy{TrafficRouting: router}).ScaleDownDelaySecondsOrDefault(), int32(30)},
		"the canary stays 30 s after an abort":         {(&v1alpha1.CanaryStrategy{}).AbortScaleDownDelaySecondsOrDefault(), int32(30)},
		"weights sum to 100 without a router":          {(*v1alpha1.RolloutTrafficRouting)(nil).MaxTrafficWeightOrDefault(), int32(100)},
		"weights sum to 100":                           {router.MaxTrafficWeightOrDefault(), int32(100)},
		"weights sum to what was asked":                {(&v1alpha1.RolloutTrafficRouting{MaxTrafficWeight: &thousand}).MaxTrafficWeightOrDefault(), int32(1000)},
		"an experiment's template has one pod":         {(&v1alpha1.TemplateSpec{}).ReplicasOrDefault(), int32(1)},
		"an experiment's deadline is 600 s":            {(&v1alpha1.ExperimentSpec{}).ProgressDeadlineSecondsOrDefault(), int32(600)},
		"an experiment's pods stay 30 s":               {(&v1alpha1.ExperimentSpec{}).ScaleDownDelaySecondsOrDefault(), int32(30)},
	}
	for name, test := range tests {
		if test.got != test.want {
			t.Errorf("%s: got %v, want %v", name, test.got, test.want)
		}
	}
}
