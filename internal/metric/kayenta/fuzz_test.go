package kayenta

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/metric"
)

// FuzzDecode: whatever Kayenta answers, there is no panic, and no success below the score
// that passes.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{scored("90.9"), scored("null"), scored("1e400"), `{"complete":true}`, "<html>", ""} {
		f.Add([]byte(seed))
	}
	var body atomic.Pointer[[]byte]
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(*body.Load()) // a short answer is an answer too
	}))
	f.Cleanup(s.Close)
	p := New(Options{})
	f.Fuzz(func(t *testing.T, answer []byte) {
		body.Store(&answer)
		m := judge(s.URL)
		m.Threshold = v1alpha1.KayentaThreshold{Pass: 101, Marginal: 100}
		res, err := p.Measure(context.Background(), asking(m, "01H"))
		if err == nil && res.Kind == metric.Verdict && res.Phase == v1alpha1.AnalysisPhaseSuccessful && res.Display < "101" && len(res.Display) < 3 {
			t.Errorf("%q passes with %s", answer, res.Display)
		}
	})
}
