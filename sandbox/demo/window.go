package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/penstock-io/penstock/sandbox/mesh"
)

// window is the time while a weight is asked for.
type window struct {
	want  int
	begin time.Time
	base  mesh.Stats
}

// open begins a window once the gateway follows the route, for which it waits at most a
// second: requests before that belong to no weight.
func open(g *mesh.Gateway, route *unstructured.Unstructured, want int) *window {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Second); !follows(g, route) && time.Now().Before(end); {
		<-tick.C
	}
	return &window{want: want, begin: time.Now(), base: g.Stats()}
}

func follows(g *mesh.Gateway, route *unstructured.Unstructured) bool {
	for _, a := range g.Applied(host) {
		if a.Kind == routeKind.Kind && a.ResourceVersion == route.GetResourceVersion() {
			return true
		}
	}
	return false
}

// measured is what the gateway counted in a window.
type measured struct {
	Split
	errors float64 // percent of the new version's requests that were not answered 2xx
	took   time.Duration
}

// close measures the share of the revision with this hash.
func (w *window) close(g *mesh.Gateway, hash string) measured {
	seen := g.Stats().Since(w.base)
	ours := func(k mesh.Key) bool { return k.Host == host && !k.Mirror }
	all := seen.Total(ours)
	canary := seen.Total(func(k mesh.Key) bool { return ours(k) && k.Hash == hash })
	failed := seen.Total(func(k mesh.Key) bool { return ours(k) && k.Hash == hash && k.Class != "2xx" })
	return measured{
		Split:  Split{Want: w.want, Got: round(percent(canary, all), 2), requests: all},
		errors: percent(failed, canary), took: time.Since(w.begin),
	}
}

func percent(part, all uint64) float64 {
	if all == 0 {
		return 0
	}
	return 100 * float64(part) / float64(all)
}

// p99 asks Prometheus for the 99th percentile of a revision over the last seconds; ""
// when it knows none.
func p99(ctx context.Context, prometheus, hash string, over time.Duration) string {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	query := fmt.Sprintf(`histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket{rollouts_pod_template_hash=%q}[%ds])))`,
		hash, max(3, int(over.Seconds())))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, prometheus+"/api/v1/query?query="+url.QueryEscape(query), nil)
	if err != nil {
		return ""
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return ""
	}
	defer response.Body.Close() //nolint:errcheck // read to its end
	var answer struct {
		Data struct{ Result []struct{ Value [2]any } }
	}
	if json.NewDecoder(response.Body).Decode(&answer) != nil || len(answer.Data.Result) != 1 {
		return ""
	}
	text, _ := answer.Data.Result[0].Value[1].(string)
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || !(seconds >= 0) {
		return ""
	}
	return fmt.Sprintf("%.0f ms", seconds*1000)
}
