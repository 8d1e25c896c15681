package kayenta

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
	"github.com/penstock-io/penstock/internal/metric/outbound"
)

const (
	// defaultTimeout is the time limit of one request.
	defaultTimeout = 15 * time.Second
	// again is the time between two questions about an execution.
	again = 15 * time.Second
	// executionKey is the published key of a measurement's metadata.
	executionKey = "canaryExecutionId"
)

// Options are what the process gives.
type Options struct {
	// Client makes the requests; nil means one that refuses no address.
	Client *outbound.Client
	// Timeout bounds one request; default 15 s.
	Timeout time.Duration
}

// New returns the provider.
func New(o Options) metric.Provider {
	if o.Client == nil {
		o.Client = outbound.New(nil)
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	return &provider{o}
}

type provider struct{ options Options }

// Describe names the canary configuration that is judged by.
func (*provider) Describe(r metric.Request) map[string]string {
	m := r.Provider.Kayenta
	if m == nil {
		return nil
	}
	return metric.Asked("Kayenta", fmt.Sprintf("%s of %s at %s", m.CanaryConfigName, m.Application, m.Address), r.Secrets)
}

// Check implements metric.Checker.
func (*provider) Check(m v1alpha1.MetricProvider) error { return check(m.Kayenta) }

func check(m *v1alpha1.KayentaMetric) error {
	if u, err := url.Parse(m.Address); err != nil || u.Scheme == "" || u.Host == "" {
		return errors.New("address must be a URL such as http://kayenta.spinnaker:8090")
	}
	for i, s := range m.Scopes {
		if (s.ControlScope.Start == "") != (s.ExperimentScope.Start == "") {
			return fmt.Errorf("scopes[%d]: controlScope.start and experimentScope.start must both be set or be empty", i)
		}
		if (s.ControlScope.End == "") != (s.ExperimentScope.End == "") {
			return fmt.Errorf("scopes[%d]: controlScope.end and experimentScope.end must both be set or be empty", i)
		}
	}
	return nil
}

// Measure starts an execution, or asks for that of the token.
func (p *provider) Measure(ctx context.Context, r metric.Request) (metric.Result, error) {
	m := r.Provider.Kayenta
	if m == nil {
		return metric.Result{}, fmt.Errorf("metric %s has no kayenta provider", r.Metric)
	}
	secrets := r.Credentials(v1alpha1.Authentication{}, nil, m.Address)
	res, err := metric.Result{}, check(m)
	switch {
	case err != nil:
	case r.Token == "":
		res, err = p.start(ctx, r, m)
	default:
		res, err = p.ask(ctx, m, r.Token)
	}
	return res, metric.Sentence(err, secrets)
}

// start finds the configuration by its name and begins a judgement with it.
func (p *provider) start(ctx context.Context, r metric.Request, m *v1alpha1.KayentaMetric) (metric.Result, error) {
	id, err := p.config(ctx, m)
	if err != nil {
		return metric.Result{}, err
	}
	body, err := order(r, m)
	if err != nil {
		return metric.Result{}, err
	}
	query := url.Values{"application": {m.Application}, "metricsAccountName": {m.MetricsAccountName},
		"configurationAccountName": {m.ConfigurationAccountName}, "storageAccountName": {m.StorageAccountName}}
	var answer struct {
		ID string `json:"canaryExecutionId"`
	}
	status, err := p.call(ctx, http.MethodPost, place(m, "canary", id)+"?"+query.Encode(), body, &answer)
	switch {
	case err != nil:
		return metric.Result{}, err
	case status != http.StatusOK:
		return metric.Result{}, fmt.Errorf("Invalid Response: status %d", status) //nolint:staticcheck // published text
	case answer.ID == "":
		return metric.Result{}, errors.New("Invalid canaryExecutionId: the answer has none") //nolint:staticcheck // published text
	}
	return metric.Result{Kind: metric.Pending, Token: answer.ID, After: again, Metadata: map[string]string{executionKey: answer.ID}}, nil
}

// config is the id of the configuration that the metric names.
func (p *provider) config(ctx context.Context, m *v1alpha1.KayentaMetric) (string, error) {
	query := url.Values{"application": {m.Application}, "configurationAccountName": {m.ConfigurationAccountName}}
	var list []struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	status, err := p.call(ctx, http.MethodGet, place(m, "canaryConfig")+"?"+query.Encode(), nil, &list)
	switch {
	case err != nil:
		return "", err
	case status/100 != 2:
		return "", fmt.Errorf("Invalid Response: status %d", status) //nolint:staticcheck // published text
	}
	for _, c := range list {
		if c.Name == m.CanaryConfigName && c.ID != "" {
			return c.ID, nil
		}
	}
	return "", fmt.Errorf("Canary config not found: %s", m.CanaryConfigName) //nolint:staticcheck // published text
}

// ask looks how an execution stands, and turns its score into a verdict.
func (p *provider) ask(ctx context.Context, m *v1alpha1.KayentaMetric, id string) (metric.Result, error) {
	var answer struct {
		Complete *bool `json:"complete"`
		Result   struct {
			JudgeResult struct {
				Score struct {
					Score *float64 `json:"score"`
				} `json:"score"`
			} `json:"judgeResult"`
		} `json:"result"`
	}
	status, err := p.call(ctx, http.MethodGet, place(m, "canary", id), nil, &answer)
	switch {
	case err != nil:
		return metric.Result{}, err
	case status/100 != 2:
		return metric.Result{}, fmt.Errorf("Invalid Response: status %d", status) //nolint:staticcheck // published text
	case answer.Complete == nil:
		return metric.Result{}, errors.New("Missing Complete Status") //nolint:staticcheck // published text
	case !*answer.Complete:
		return metric.Result{Kind: metric.Pending, Token: id, After: again, Metadata: map[string]string{executionKey: id}}, nil
	case answer.Result.JudgeResult.Score.Score == nil:
		return metric.Result{}, errors.New("Missing Score") //nolint:staticcheck // published text
	}
	score := int64(*answer.Result.JudgeResult.Score.Score)
	res := metric.Result{Kind: metric.Verdict, Display: strconv.FormatInt(score, 10), Phase: v1alpha1.AnalysisPhaseFailed}
	switch {
	case score >= m.Threshold.Pass:
		res.Phase = v1alpha1.AnalysisPhaseSuccessful
	case score >= m.Threshold.Marginal:
		res.Phase = v1alpha1.AnalysisPhaseInconclusive
	}
	if res.Phase != v1alpha1.AnalysisPhaseSuccessful {
		res.Message = fmt.Sprintf("score %d, with pass %d and marginal %d", score, m.Threshold.Pass, m.Threshold.Marginal)
	}
	return res, nil
}

func place(m *v1alpha1.KayentaMetric, parts ...string) string {
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.TrimSuffix(m.Address, "/") + "/" + strings.Join(parts, "/")
}
