package analysis

import (
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// FaultKind says what a Fault is about.
type FaultKind int

// The kinds of faults.
const (
	// FaultMetric is a metric that no run can have.
	FaultMetric FaultKind = iota
	// FaultCondition is a condition that does not compile, or never gives true or false.
	FaultCondition
	// FaultArg is an arg that a metric uses and the template does not declare. Another
	// template of the same run may.
	FaultArg
)

// Fault is one thing that is wrong with metrics before any run is made of them.
type Fault struct {
	Kind FaultKind
	// Path is the field below the object, such as spec.metrics[0].successCondition.
	Path string
	// Text is what is wrong, in the words that a run would have.
	Text string
}

// Faults lists what is wrong with the metrics of a template or a run. Args without a
// value count as given: what depends on them is not judged.
func Faults(metrics []v1alpha1.Metric, args []v1alpha1.Argument) (faults []Fault) {
	values := map[string]string{}
	for _, a := range args {
		values[a.Name] = secretPlaceholder
		if a.Value != nil {
			values[a.Name] = *a.Value
		}
	}
	seen := map[string]bool{}
	for i := range metrics {
		at := fmt.Sprintf("spec.metrics[%d]", i)
		m, more, ok := resolveLoosely(metrics[i], values, at)
		faults = append(faults, more...)
		if !ok {
			continue
		}
		if seen[m.Name] {
			faults = append(faults, Fault{FaultMetric, at + ".name", fmt.Sprintf("metrics[%d]: duplicate name '%s'", i, m.Name)})
		}
		seen[m.Name] = true
		m = loose(m)
		if err := validateMetric(&m); err != nil {
			faults = append(faults, Fault{FaultMetric, at, fmt.Sprintf("metrics[%d]: %s", i, err)})
		}
		for _, c := range conditionsOf(&m) {
			if c.text == "" || strings.Contains(c.text, secretPlaceholder) {
				continue
			}
			if err := refuses(c.text); err != nil {
				faults = append(faults, Fault{FaultCondition, at + "." + c.name,
					fmt.Sprintf("metrics[%d].%s: \"%s\" is no condition: %s", i, c.name, short(c.text, maxBound), err)})
			}
		}
	}
	return faults
}

// resolveLoosely takes each arg that is not declared for one with an unknown value.
func resolveLoosely(m v1alpha1.Metric, values map[string]string, at string) (out v1alpha1.Metric, faults []Fault, ok bool) {
	for {
		out, err := resolveMetric(m, values)
		var u *unknownArg
		if err == nil {
			return out, faults, true
		}
		if !errors.As(err, &u) {
			return out, append(faults, Fault{FaultMetric, at, err.Error()}), false
		}
		name, isArg := strings.CutPrefix(strings.TrimSpace(u.tag), "args.")
		if !isArg {
			return out, append(faults, Fault{FaultMetric, at + u.path, err.Error()}), false
		}
		values[name] = secretPlaceholder
		faults = append(faults, Fault{FaultArg, at + u.path, err.Error()})
	}
}

// loose puts values that no rule refuses where a value is not known yet.
func loose(m v1alpha1.Metric) v1alpha1.Metric {
	open := func(text string) bool { return strings.Contains(text, secretPlaceholder) }
	openNumber := func(v *intstr.IntOrString) bool { return v != nil && open(v.StrVal) }
	if open(string(m.Interval)) {
		m.Interval = "1s"
	}
	if open(string(m.InitialDelay)) {
		m.InitialDelay = ""
	}
	if open(string(m.NoData)) {
		m.NoData = ""
	}
	if openNumber(m.Count) || openNumber(m.FailureLimit) || openNumber(m.ConsecutiveSuccessLimit) || openNumber(m.InconclusiveLimit) {
		m.Count, m.FailureLimit, m.ConsecutiveSuccessLimit, m.InconclusiveLimit = nil, nil, nil, nil
	}
	if m.Evidence != nil && open(m.Evidence.AtLeast.StrVal) {
		m.Evidence.AtLeast = intstr.FromInt32(1)
	}
	return m
}

// CheckRun says why a run with this spec could not measure anything; nil for nothing.
// Secrets count as given.
func CheckRun(spec v1alpha1.AnalysisRunSpec) error {
	metrics, err := Resolve(spec, nil)
	if err != nil {
		return err
	}
	for i := range metrics {
		metrics[i] = loose(metrics[i])
	}
	if err := validate(metrics); err != nil {
		return err
	}
	if err := problems(metrics); err != nil {
		return err
	}
	if _, err := dryRuns(spec.DryRun, metrics); err != nil {
		return err
	}
	_, err = retentions(spec.MeasurementRetention, metrics)
	return err
}
