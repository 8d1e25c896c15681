package kayenta

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
	"github.com/penstock-io/penstock/internal/metric/outbound"
)

// call makes a request; into is read only from an answer with status 2xx.
func (p *provider) call(ctx context.Context, method, place string, body []byte, into any) (status int, err error) {
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, place, reader)
	if err != nil {
		return 0, errors.New("read address: it is no URL")
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	a, err := p.options.Client.Do(ctx, req, outbound.Call{Limit: p.options.Timeout})
	if err != nil || a.Status/100 != 2 {
		return a.Status, err
	}
	if err := json.Unmarshal(a.Body, into); err != nil {
		return a.Status, fmt.Errorf("read the answer: %w", err)
	}
	return a.Status, nil
}

// execution is the body that starts one.
type execution struct {
	Scopes     map[string]scopes `json:"scopes"`
	Thresholds thresholds        `json:"thresholds"`
}

type thresholds struct {
	Pass     int64 `json:"pass"`
	Marginal int64 `json:"marginal"`
}

type scopes struct {
	Control    scope `json:"controlScope"`
	Experiment scope `json:"experimentScope"`
}

type scope struct {
	Scope    string `json:"scope"`
	Location string `json:"location"`
	Step     int64  `json:"step"`
	Start    string `json:"start"`
	End      string `json:"end"`
}

// order is the body of an execution. What the metric leaves open ends now, and begins one
// interval before, or with lookback when the run began.
func order(r metric.Request, m *v1alpha1.KayentaMetric) ([]byte, error) {
	e := execution{Scopes: map[string]scopes{}, Thresholds: thresholds{m.Threshold.Pass, m.Threshold.Marginal}}
	for _, s := range m.Scopes {
		start := s.ControlScope.Start
		if start == "" {
			from, err := begin(r, m)
			if err != nil {
				return nil, err
			}
			start = from
		}
		end := r.Now.UTC().Format(time.RFC3339)
		e.Scopes[s.Name] = scopes{side(s.ControlScope, start, end), side(s.ExperimentScope, start, end)}
	}
	body, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("write the execution: %w", err)
	}
	return body, nil
}

func begin(r metric.Request, m *v1alpha1.KayentaMetric) (string, error) {
	at := r.Now.Add(-r.Interval)
	switch {
	case m.Lookback && !r.RunStarted.IsZero():
		at = r.RunStarted
	case !m.Lookback && r.Interval <= 0:
		return "", errors.New("Invalid duration: scopes without start need an interval, or lookback") //nolint:staticcheck // published text
	}
	return at.UTC().Format(time.RFC3339), nil
}

func side(d v1alpha1.ScopeDetail, start, end string) scope {
	s := scope{d.Scope, d.Region, d.Step, d.Start, d.End}
	if s.Start == "" {
		s.Start = start
	}
	if s.End == "" {
		s.End = end
	}
	return s
}
