// Command metric is a metric plugin: it reads a number out of the JSON that a URL answers,
// and compares it with bounds.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/plugin/v2"
)

func main() { plugin.Serve(plugin.OfMetric(number{})) }

// config is what stands under provider.plugin in the metric.
type config struct {
	// URL is asked with GET.
	URL string `json:"url"`
	// Field is where the number stands, with dots: orders.failed.
	Field string `json:"field"`
	// Min and Max are the bounds that still pass; one of them is required.
	Min *float64 `json:"min"`
	Max *float64 `json:"max"`
}

type number struct{}

// Measure implements plugin.Metric. The controller gives the measurement its times.
func (number) Measure(ctx context.Context, r plugin.MetricRequest) (v1alpha1.Measurement, error) {
	c, err := read(r)
	if err != nil {
		return v1alpha1.Measurement{}, err
	}
	answer, err := get(ctx, c.URL)
	if err != nil {
		return v1alpha1.Measurement{}, err
	}
	value, found := find(answer, c.Field)
	switch {
	case !found: // nobody knows whether that is good
		return v1alpha1.Measurement{Phase: v1alpha1.AnalysisPhaseInconclusive, Message: c.URL + " has no number at " + c.Field}, nil
	case c.Min != nil && value < *c.Min:
		return judged(v1alpha1.AnalysisPhaseFailed, value, fmt.Sprintf("%v is below %v", value, *c.Min)), nil
	case c.Max != nil && value > *c.Max:
		return judged(v1alpha1.AnalysisPhaseFailed, value, fmt.Sprintf("%v is above %v", value, *c.Max)), nil
	}
	return judged(v1alpha1.AnalysisPhaseSuccessful, value, ""), nil
}

// Describe implements plugin.Describer.
func (number) Describe(_ context.Context, r plugin.MetricRequest) (map[string]string, error) {
	c, err := read(r)
	if err != nil {
		return nil, err
	}
	return map[string]string{"asks": c.URL, "for": c.Field}, nil
}

func read(r plugin.MetricRequest) (c config, err error) {
	if err := plugin.ReadConfig(r.Config, &c); err != nil {
		return c, err
	}
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return c, plugin.Refuse("url", fmt.Sprintf("want http://… or https://…, got %q", c.URL))
	case c.Field == "":
		return c, plugin.Refuse("field", "want the place of a number, as in orders.failed")
	case c.Min == nil && c.Max == nil:
		return c, plugin.Refuse("max", "want max, min, or both")
	}
	return c, nil
}

func judged(phase v1alpha1.AnalysisPhase, value float64, why string) v1alpha1.Measurement {
	return v1alpha1.Measurement{Phase: phase, Value: strconv.FormatFloat(value, 'g', -1, 64), Message: why}
}

func get(ctx context.Context, url string) (answer any, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", url, resp.Status)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&answer); err != nil {
		return nil, fmt.Errorf("%s answers no JSON: %w", url, err)
	}
	return answer, nil
}

// find follows a path of names.
func find(in any, field string) (value float64, found bool) {
	for _, name := range strings.Split(field, ".") {
		object, _ := in.(map[string]any)
		in = object[name]
	}
	value, found = in.(float64)
	return value, found
}
