package cloudwatch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
	"github.com/penstock-io/penstock/internal/metric/awsauth"
	"github.com/penstock-io/penstock/internal/metric/outbound"
)

const (
	// defaultTimeout bounds a measurement, pages included.
	defaultTimeout = 30 * time.Second
	// maxAnswer is the most that is read of one page, in bytes.
	maxAnswer = 16 << 20
	// maxPages is how often "there is more" is followed; a page has up to 100,800 points.
	maxPages = 5
)

// Options are what the process gives.
type Options struct {
	// Client makes the requests; nil means one that refuses no address.
	Client *outbound.Client
	// AWS finds the credentials; nil means the SDK's default chain.
	AWS *awsauth.Source
	// Timeout bounds a measurement; default 30 s.
	Timeout time.Duration
}

// New returns the provider.
func New(o Options) metric.Provider {
	if o.Client == nil {
		o.Client = outbound.New(nil)
	}
	if o.AWS == nil {
		o.AWS = awsauth.New(nil)
	}
	o.Timeout = cmp.Or(o.Timeout, defaultTimeout)
	return &provider{o, o.Client.Transport(false, maxAnswer)}
}

type provider struct {
	options   Options
	transport http.RoundTripper
}

// Describe shows the expressions, and the metrics by name.
func (*provider) Describe(r metric.Request) map[string]string {
	if r.Provider.CloudWatch == nil {
		return nil
	}
	return metric.Asked("CloudWatch", tell(r.Provider.CloudWatch), r.Secrets)
}

// Check implements metric.Checker.
func (*provider) Check(m v1alpha1.MetricProvider) error {
	_, err := input(m.CloudWatch, time.Time{})
	return err
}

// Measure asks for all queries at once.
func (p *provider) Measure(ctx context.Context, r metric.Request) (metric.Result, error) {
	m := r.Provider.CloudWatch
	if m == nil {
		return metric.Result{}, fmt.Errorf("metric %s has no cloudWatch provider", r.Metric)
	}
	ask, err := input(m, r.Now)
	if err != nil {
		return metric.Result{}, metric.Sentence(err, r.Secrets)
	}
	limited, cancel := context.WithTimeout(ctx, p.options.Timeout)
	defer cancel()
	settings, login, err := p.options.AWS.Login(limited, v1alpha1.Sigv4Config{})
	if err != nil {
		return metric.Result{}, metric.Sentence(p.explain(ctx, limited, err, r.Secrets), r.Secrets)
	}
	secrets := append([]string{login.SecretAccessKey, login.SessionToken}, r.Secrets...)
	settings.Credentials = credentials.StaticCredentialsProvider{Value: login}
	pages, err := p.ask(limited, settings, ask)
	if err != nil {
		return metric.Result{}, metric.Sentence(p.explain(ctx, limited, err, secrets), secrets)
	}
	res, err := decode(pages, secrets)
	return res.Redact(secrets), metric.Sentence(err, secrets)
}

// ask sends the request, and again while there is more. The pool tries again by itself, so
// the SDK does not.
func (p *provider) ask(ctx context.Context, settings aws.Config, in *cloudwatch.GetMetricDataInput) (pages []*cloudwatch.GetMetricDataOutput, err error) {
	client := cloudwatch.NewFromConfig(settings, func(o *cloudwatch.Options) {
		o.HTTPClient = &http.Client{Transport: p.transport, CheckRedirect: outbound.SameHost}
		o.Retryer = aws.NopRetryer{}
	})
	for range maxPages {
		page, err := client.GetMetricData(ctx, in)
		if err != nil {
			return nil, err
		}
		pages = append(pages, page)
		if in.NextToken = page.NextToken; aws.ToString(in.NextToken) == "" {
			return pages, nil
		}
	}
	return nil, fmt.Errorf("the answer has more than %d pages: ask for a shorter interval or a longer period", maxPages)
}

// explain says in one sentence why there is no answer: in the words of CloudWatch where
// there are some.
func (p *provider) explain(ctx, limited context.Context, err error, secrets []string) error {
	var said smithy.APIError
	var status *smithyhttp.ResponseError
	var op *smithy.OperationError
	if limited.Err() == nil {
		switch {
		case errors.As(err, &said) && said.ErrorMessage() != "" && said.ErrorCode() != "UnknownError":
			return fmt.Errorf("cloudwatch: %s: %s", said.ErrorCode(), metric.Cut(said.ErrorMessage(), 200, secrets))
		case errors.As(err, &status) && status.HTTPStatusCode() >= http.StatusMultipleChoices:
			return fmt.Errorf("received non 2xx response code: %d", status.HTTPStatusCode())
		}
	}
	if errors.As(err, &op) {
		err = op.Err
	}
	return outbound.Explain(ctx, limited, "query CloudWatch", p.options.Timeout, err)
}
