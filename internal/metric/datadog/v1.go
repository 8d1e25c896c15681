package datadog

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/penstock-io/penstock/internal/metric"
)

// askV1 asks for the points of the look-back window; times are Unix seconds.
func askV1(ctx context.Context, s settings, at string, now time.Time) (*http.Request, error) {
	query := url.Values{
		"query": {s.Query}, "from": {strconv.FormatInt(now.Add(-s.back).Unix(), 10)}, "to": {strconv.FormatInt(now.Unix(), 10)},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at+"?"+query.Encode(), nil)
	if err != nil {
		return nil, fmt.Errorf("write the request: %w", err)
	}
	return req, nil
}

// readV1 takes the last point of the first series. A null is no zero: nothing was
// measured then.
func readV1(body []byte, cut shorten) (metric.Result, error) {
	var answer struct {
		Status string `json:"status"`
		Error  string `json:"error"`
		Series []struct {
			Pointlist [][]*float64 `json:"pointlist"`
		} `json:"series"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return metric.Result{}, fmt.Errorf("Could not parse JSON body: %s", cut(err.Error(), maxShown)) //nolint:staticcheck // published text
	}
	if answer.Error != "" || answer.Status != "" && answer.Status != "ok" {
		text := cmp.Or(answer.Error, "the status is "+answer.Status)
		return metric.Result{}, fmt.Errorf("There were errors in your query: %s", cut(text, maxShown)) //nolint:staticcheck // published text
	}
	if len(answer.Series) == 0 {
		return none("[]", "the query returned no series"), nil
	}
	points := answer.Series[0].Pointlist
	if len(points) == 0 {
		return none("[]", "the first series has no points"), nil
	}
	last := points[len(points)-1]
	if len(last) != 2 {
		return metric.Result{}, errors.New("Datapoint does not have 2 values") //nolint:staticcheck // published text
	}
	if last[1] == nil {
		return none("null", "the newest point is null"), nil
	}
	return number(*last[1]), nil
}
