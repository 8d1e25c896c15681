package analysis

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// defaultConsecutiveErrors is consecutiveErrorLimit when it is not set: the fifth
// error in a row ends the metric.
const defaultConsecutiveErrors = 4

// intOr reads an int-or-string: a string that is not a number counts as 0, as published.
func intOr(v *intstr.IntOrString, unset int) int {
	if v == nil {
		return unset
	}
	return v.IntValue()
}

// validate checks resolved metrics; the first error wins.
func validate(metrics []v1alpha1.Metric) error {
	if len(metrics) == 0 {
		return errors.New("no metrics specified")
	}
	seen := map[string]bool{}
	for i := range metrics {
		if seen[metrics[i].Name] {
			return fmt.Errorf("metrics[%d]: duplicate name '%s'", i, metrics[i].Name)
		}
		seen[metrics[i].Name] = true
		if err := validateMetric(&metrics[i]); err != nil {
			return fmt.Errorf("metrics[%d]: %w", i, err)
		}
	}
	return nil
}

func validateMetric(m *v1alpha1.Metric) error {
	if err := validateLimits(m); err != nil {
		return err
	}
	if intOr(m.Count, 0) > 1 && m.Interval == "" {
		return errors.New("interval must be specified when count > 1")
	}
	if m.Interval != "" {
		if _, err := time.ParseDuration(string(m.Interval)); err != nil {
			return fmt.Errorf("invalid interval string: %w; want one such as 30s or 5m", err)
		}
	}
	if m.InitialDelay != "" {
		if _, err := time.ParseDuration(string(m.InitialDelay)); err != nil {
			return fmt.Errorf("invalid startDelay string: %w; want one such as 30s or 5m", err)
		}
	}
	switch n := providers(&m.Provider); {
	case n == 0:
		return errors.New("no provider specified")
	case n > 1:
		return errors.New("multiple providers specified")
	}
	if b := m.Baseline; b != nil {
		p := b.Provider()
		if n := providers(&p); n != 1 {
			return fmt.Errorf("baseline must have one provider that gives a value, but has %d", n)
		}
		if judgesItself(&m.Provider) {
			return errors.New("baseline compares values, and this metric's provider gives a verdict of its own: take baseline out, or another provider")
		}
	}
	if e := m.Evidence; e != nil {
		p := e.Provider()
		if n := providers(&p); n != 1 {
			return fmt.Errorf("evidence must have one provider that gives a value, but has %d", n)
		}
		if AtLeast(m) < 1 {
			return fmt.Errorf("evidence.atLeast must be a number above 0, but is %q", e.AtLeast.String())
		}
	}
	if !knownPolicy(m.NoData) {
		return fmt.Errorf("noData must be Inconclusive, Fail, Error, Success or Skip, but is %q", m.NoData)
	}
	return nil
}

// AtLeast is how many events a measurement must rest on; 0 for a metric that does not say,
// or not in a number.
func AtLeast(m *v1alpha1.Metric) int {
	if m.Evidence == nil {
		return 0
	}
	n, err := strconv.Atoi(m.Evidence.AtLeast.String())
	if err != nil {
		return 0
	}
	return n
}

func validateLimits(m *v1alpha1.Metric) error {
	count, failure := intOr(m.Count, 0), intOr(m.FailureLimit, 0)
	success, inconclusive := intOr(m.ConsecutiveSuccessLimit, 0), intOr(m.InconclusiveLimit, 0)
	switch {
	case success < 0:
		return errors.New("consecutiveSuccessLimit must be >= 0")
	case failure < -1:
		return errors.New("failureLimit must be >= 0, or -1 to be disabled")
	case success == 0 && failure == -1:
		return errors.New("failureLimit and consecutiveSuccessLimit cannot both be disabled")
	case inconclusive < 0:
		return errors.New("inconclusiveLimit must be >= 0")
	case intOr(m.ConsecutiveErrorLimit, defaultConsecutiveErrors) < 0:
		return errors.New("consecutiveErrorLimit must be >= 0")
	case count <= 0:
		return nil
	case failure >= 0 && count < failure+success:
		return fmt.Errorf("count (%d) must be >= failureLimit + consecutiveSuccessLimit (%d + %d) if both >= 0", count, failure, success)
	case failure < 0 && count < success:
		return errors.New("count must be >= consecutiveSuccessLimit")
	case count < inconclusive:
		return errors.New("count must be >= inconclusiveLimit")
	}
	return nil
}

// problems checks what could be found out by the first measurement only, but before it:
// conditions that do not compile. What a secret is part of cannot be checked.
func problems(metrics []v1alpha1.Metric) error {
	for i := range metrics {
		for _, c := range conditionsOf(&metrics[i]) {
			if c.text == "" || strings.Contains(c.text, secretPlaceholder) {
				continue
			}
			if err := refuses(c.text); err != nil {
				return fmt.Errorf("metrics[%d].%s: \"%s\" is no condition: %w", i, c.name, short(c.text, maxBound), err)
			}
		}
	}
	return nil
}

// judgesItself reports that a provider gives a verdict and no value.
func judgesItself(p *v1alpha1.MetricProvider) bool {
	return p.Job != nil || p.Kayenta != nil || len(p.Plugin) > 0
}

// providers counts the providers of a metric; each entry of plugin is one.
func providers(p *v1alpha1.MetricProvider) int {
	n := len(p.Plugin)
	for _, set := range []bool{
		p.Prometheus != nil, p.Kayenta != nil, p.Web != nil, p.Datadog != nil, p.Wavefront != nil, p.NewRelic != nil,
		p.Job != nil, p.CloudWatch != nil, p.Graphite != nil, p.Influxdb != nil, p.SkyWalking != nil,
	} {
		if set {
			n++
		}
	}
	return n
}

// dryRuns returns, by index, which metrics run dry. The rules are regular expressions
// without anchors.
func dryRuns(rules []v1alpha1.DryRun, metrics []v1alpha1.Metric) ([]bool, error) {
	dry := make([]bool, len(metrics))
	for i, r := range rules {
		if !match(r.MetricName, metrics, func(j int) { dry[j] = true }) {
			return nil, fmt.Errorf("dryRun[%d]: Rule didn't match any metric name(s)%s", i, invalid(r.MetricName))
		}
	}
	return dry, nil
}

// retentions returns how many measurements each metric keeps; the last rule that
// matches wins.
func retentions(rules []v1alpha1.MeasurementRetention, metrics []v1alpha1.Metric) ([]int, error) {
	keep := make([]int, len(metrics))
	for i, r := range rules {
		if !match(r.MetricName, metrics, func(j int) { keep[j] = int(r.Limit) }) {
			return nil, fmt.Errorf("measurementRetention[%d]: Rule didn't match any metric name(s)%s", i, invalid(r.MetricName))
		}
	}
	for j := range keep {
		if keep[j] <= 0 {
			keep[j] = defaultRetention
		}
	}
	return keep, nil
}

// Retention is how many measurements the status keeps of a metric.
func Retention(spec v1alpha1.AnalysisRunSpec, name string) int {
	keep := 0
	for _, r := range spec.MeasurementRetention {
		match(r.MetricName, []v1alpha1.Metric{{Name: name}}, func(int) { keep = int(r.Limit) })
	}
	if keep <= 0 {
		return defaultRetention
	}
	return keep
}

// invalid is what is wrong with a rule, behind a colon; "" for nothing.
func invalid(rule string) string {
	if _, err := regexp.Compile(rule); err != nil {
		return ": " + err.Error()
	}
	return ""
}

func match(rule string, metrics []v1alpha1.Metric, found func(int)) (any bool) {
	re, err := regexp.Compile(rule)
	if err != nil {
		return false
	}
	for j := range metrics {
		if re.MatchString(metrics[j].Name) {
			found(j)
			any = true
		}
	}
	return any
}
