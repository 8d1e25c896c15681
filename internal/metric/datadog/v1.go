package datadog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/penstock-io/penstock/internal/metric"
)

// askV1 asks for the points of the look-back window; times are Unix seconds.
func askV1(ctx context.Context, s settings, address string, now time.Time) (*http.Request, error) {
	query := url.Values{
		"query": {s.Query}, "from": {strconv.FormatInt(now.Add(-s.back).Unix(), 10)}, "to": {strconv.FormatInt(now.Unix(), 10)},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(address, "/")+"/api/v1/query?"+query.Encode(), nil)
	if err != nil {
		return nil, errors.New("read the address of datadog: it is no URL")
	}
	return req, nil
}

// readV1 takes the last point of the first series. A null is no zero: nothing was
// measured then.
func readV1(body []byte) (metric.Result, error) {
	var answer struct {
		Status string `json:"status"`
		Error  string `json:"error"`
		Series []struct {
			Pointlist [][]*float64 `json:"pointlist"`
		} `json:"series"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return metric.Result{}, fmt.Errorf("Could not parse JSON body: %w", err) //nolint:staticcheck // published text
	}
	if answer.Status == "error" || answer.Error != "" {
		return metric.Result{}, fmt.Errorf("There were errors in your query: %s", cut(answer.Error)) //nolint:staticcheck // published text
	}
	if len(answer.Series) == 0 {
		return metric.Result{Kind: metric.NoData, Display: "[]", Why: "the query returned no series"}, nil
	}
	points := answer.Series[0].Pointlist
	if len(points) == 0 {
		return metric.Result{Kind: metric.NoData, Display: "[]", Why: "the first series has no points"}, nil
	}
	last := points[len(points)-1]
	if len(last) != 2 {
		return metric.Result{}, errors.New("Datapoint does not have 2 values") //nolint:staticcheck // published text
	}
	if last[1] == nil {
		return metric.Result{Kind: metric.NoData, Display: "null", Why: "the newest point is null"}, nil
	}
	return number(*last[1]), nil
}

func number(v float64) metric.Result {
	return metric.Result{Kind: metric.Values, Value: v, Display: strconv.FormatFloat(v, 'f', -1, 64)}
}

func cut(text string) string { return strings.ToValidUTF8(text[:min(len(text), maxShown)], "") }
