package cli

import (
	"context"
	"fmt"
	"net/url"
	"time"

	promapi "github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"

	"github.com/penstock-io/penstock/internal/convert"
)

const (
	// seriesWithin bounds a question to a Prometheus, seriesMost the series of a metric that
	// are looked at, and seriesSince how old they may be.
	seriesWithin = 10 * time.Second
	seriesMost   = 2000
	seriesSince  = time.Hour
)

// judged asks a Prometheus which request metrics it has, and lets them judge.
func (s *session) judged(ctx context.Context, in *convert.Input, address string) error {
	if u, err := url.Parse(address); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("--prometheus: want an address such as http://prometheus.monitoring:9090, got %q", address)
	}
	client, err := promapi.NewClient(promapi.Config{Address: address})
	if err != nil {
		return fmt.Errorf("--prometheus: %w", err)
	}
	found := convert.Series{}
	for _, name := range convert.Metrics() {
		ctx, cancel := context.WithTimeout(ctx, seriesWithin)
		sets, _, _, err := promv1.NewAPI(client).Series(ctx, []string{name}, s.Now().Add(-seriesSince), s.Now(), promv1.WithLimit(seriesMost))
		cancel()
		if err != nil {
			return fmt.Errorf("ask the Prometheus at %s for series of %s: %v", address, name, err) // no %w: it is not the cluster that does not answer
		}
		for _, set := range sets {
			labels := map[string]string{}
			for k, v := range set {
				labels[string(k)] = string(v)
			}
			found[name] = append(found[name], labels)
		}
	}
	template, note := convert.Judge(*in, address, found)
	in.Template = template
	fmt.Fprintln(s.Err, "Note:", note)
	return nil
}
