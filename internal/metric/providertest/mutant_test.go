package providertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
)

// fault is one way in which a provider can be wrong.
type fault string

const (
	none           fault = "none"
	zeroForNothing fault = "takes null for zero"
	errForNothing  fault = "takes null for an error"
	noReason       fault = "gives no reason with no data"
	wrongNumber    fault = "rounds"
	trustsGarbage  fault = "takes garbage for no data"
	anyStatus      fault = "does not look at the status"
	hidesCause     fault = "hides the cause"
	noTimeout      fault = "has no time limit"
	namelessLimit  fault = "does not name its time limit"
	unbounded      fault = "reads without bound"
	wrongBody      fault = "sends another body"
	leaksError     fault = "leaks in errors"
	leaksValue     fault = "leaks in what it displays"
	leaksDescribe  fault = "leaks in the description"
	cutsFirst      fault = "cuts before it redacts"
	tellsNothing   fault = "does not tell what it asks"
	deafToCancel   fault = "does not hear the cancellation"
	mixesCalls     fault = "mixes concurrent calls"
)

// caughtBy names a check that must fail for the fault.
var caughtBy = map[fault]string{
	zeroForNothing: "an answer that holds nothing is no data",
	errForNothing:  "an answer that holds nothing is no data",
	noReason:       "an answer that holds nothing is no data",
	wrongNumber:    "answers become values",
	trustsGarbage:  "a broken answer is an error that names the cause",
	anyStatus:      "a server error is an error with its status",
	hidesCause:     "an unreachable source is an error",
	noTimeout:      "a slow source is an error within the time limit, which it names",
	namelessLimit:  "a source that stalls in the middle of its answer is an error within the time limit",
	unbounded:      "an endless answer is an error",
	wrongBody:      "the request is right, byte for byte",
	leaksError:     "no secret comes out, even when the source echoes it",
	leaksValue:     "no secret comes out, even when the source echoes it",
	leaksDescribe:  "no secret comes out, even when the source echoes it",
	cutsFirst:      "text of the source that is cut leaves no part of a secret",
	tellsNothing:   "what is asked can be told",
	deafToCancel:   "a cancelled context ends the call at once",
	mixesCalls:     "concurrent calls do not disturb each other",
}

// toy is a small provider of its own: POST, answer {"v": number or null or text}.
type toy struct {
	fault fault
	mu    sync.Mutex
	calls int
}

func (p *toy) Describe(r metric.Request) map[string]string {
	if p.fault == leaksDescribe {
		return map[string]string{"ResolvedToyQuery": r.Provider.Web.Body}
	}
	if p.fault == tellsNothing {
		return nil
	}
	return metric.Asked("Toy", r.Provider.Web.Body, r.Secrets)
}

func (p *toy) Measure(ctx context.Context, r metric.Request) (metric.Result, error) {
	res, err := p.measure(ctx, r.Provider.Web)
	if err != nil && p.fault != leaksError {
		err = errors.New(metric.Redact(strings.Join(strings.Fields(err.Error()), " "), r.Secrets))
	}
	if p.fault != leaksValue {
		res.Display = metric.Redact(res.Display, r.Secrets)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calls++; p.fault == mixesCalls && p.calls%5 == 0 {
		res.Value = -1.0
	}
	return res, err
}

func (p *toy) measure(ctx context.Context, m *v1alpha1.WebMetric) (metric.Result, error) {
	limit := time.Duration(m.TimeoutSeconds) * time.Second
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	switch p.fault {
	case deafToCancel:
		limited, cancel = context.WithTimeout(context.Background(), limit)
		defer cancel()
	case noTimeout:
		limited = ctx
	}
	body, err := p.fetch(limited, m)
	switch {
	case err == nil:
		return p.decode(body)
	case p.fault == hidesCause:
		err = errors.New("it did not work")
	case ctx.Err() == nil && limited.Err() != nil && p.fault != namelessLimit:
		err = fmt.Errorf("no answer within %s", limit)
	}
	return metric.Result{}, err
}

func (p *toy) fetch(ctx context.Context, m *v1alpha1.WebMetric) ([]byte, error) {
	text := m.Body
	if p.fault == wrongBody {
		text += "\n"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.URL, strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", Secret)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 && p.fault != anyStatus {
		if p.fault == cutsFirst {
			body, _ := io.ReadAll(io.LimitReader(resp.Body, 200)) // what there is
			return nil, fmt.Errorf("status %d: %s", resp.StatusCode, body)
		}
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	if p.fault == unbounded {
		return io.ReadAll(resp.Body)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if len(body) == 1<<20 {
		return nil, errors.New("too long")
	}
	return body, err
}

func (p *toy) decode(body []byte) (metric.Result, error) {
	var answer struct{ V any }
	if err := json.Unmarshal(body, &answer); err != nil {
		if p.fault == trustsGarbage {
			return metric.Result{Kind: metric.NoData, Why: "odd"}, nil
		}
		return metric.Result{}, fmt.Errorf("read %s: %w", body, err)
	}
	switch v := answer.V.(type) {
	case float64:
		if p.fault == wrongNumber {
			v = float64(int(v))
		}
		return metric.Result{Kind: metric.Values, Value: v, Display: fmt.Sprint(v)}, nil
	case nil:
		return p.nothing()
	}
	return metric.Result{Kind: metric.Values, Value: answer.V, Display: fmt.Sprint(answer.V)}, nil
}

func (p *toy) nothing() (metric.Result, error) {
	switch p.fault {
	case zeroForNothing:
		return metric.Result{Kind: metric.Values, Value: 0.0, Display: "0"}, nil
	case errForNothing:
		return metric.Result{}, errors.New("null")
	case noReason:
		return metric.Result{Kind: metric.NoData}, nil
	}
	return metric.Result{Kind: metric.NoData, Why: "v is null"}, nil
}

func toyFixture(f fault) Fixture {
	return Fixture{
		New: func() metric.Provider { return &toy{fault: f} },
		Request: func(address string, limit time.Duration) metric.Request {
			return metric.Request{
				Provider: v1alpha1.MetricProvider{Web: &v1alpha1.WebMetric{URL: address + "/v?t=" + url.QueryEscape(Secret), Body: Secret, TimeoutSeconds: int64(limit / time.Second)}},
				Secrets:  []string{Secret},
			}
		},
		Wire:   Wire{Method: "POST", Path: "/v", Query: "t=" + url.QueryEscape(Secret), Body: Secret, Header: map[string]string{"Authorization": Secret}},
		Values: map[string]Answer{"a number": {Body: `{"v":1.5}`, Want: metric.Result{Kind: metric.Values, Value: 1.5, Display: "1.5"}}},
		NoData: map[string]Answer{"null": {Body: `{"v":null}`}},
		Broken: map[string]Answer{"HTML": {Body: "<html>", WantErr: "invalid character"}},
		Echo: func(text string) Answer {
			raw, _ := json.Marshal(map[string]string{"v": text}) // a string always encodes
			return Answer{Body: string(raw)}
		},
	}
}

func TestAHonestProviderPasses(t *testing.T) { Run(t, toyFixture(none)) }

func TestEachFaultIsCaught(t *testing.T) {
	for f, name := range caughtBy {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			for _, c := range Checks() {
				if c.Name != name {
					continue
				}
				if err := c.Run(toyFixture(f)); err == nil {
					t.Errorf("%q did not notice", name)
				} else {
					t.Log(err)
				}
				return
			}
			t.Errorf("there is no check %q", name)
		})
	}
}
