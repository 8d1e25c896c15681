package prometheus

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/prometheus/common/model"

	"github.com/penstock-io/penstock/internal/metric"
)

type answering func() *http.Response

func (a answering) RoundTrip(*http.Request) (*http.Response, error) { return a(), nil }

// FuzzDecode: whatever a server answers, there is no panic, and no number out of what is no
// answer of the API.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{ok("scalar", `[1,"10"]`), vector("1", "NaN"), ok("matrix", `[{"metric":{},"values":[[1,"1"]]}]`), ok("vector", "null"),
		`{"status":"error","errorType":"bad_data","error":"x"}`, "<html>", ""} {
		f.Add([]byte(seed), "i")
		f.Add([]byte(seed), "")
	}
	f.Fuzz(func(t *testing.T, body []byte, nameBy string) {
		rt := answering(func() *http.Response {
			return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body))}
		})
		v, warnings, err := query(context.Background(), "http://prometheus", rt, "up", nil, now)
		if err != nil {
			return
		}
		res, err := decode(v, warnings, model.LabelName(nameBy))
		if err == nil && res.Kind == metric.Values && (!json.Valid(body) || !bytes.Contains(bytes.ToLower(body), []byte("result"))) {
			t.Errorf("%q gave %+v", body, res)
		}
	})
}
