package prometheus

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/route"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/relabel"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/util/notifications"
	api "github.com/prometheus/prometheus/web/api/v1"
)

// routes are Prometheus' own: /api/v1, /metrics about itself, and readiness.
func (s *Server) routes() http.Handler {
	router := route.New()
	s.api().Register(router)
	mux := http.NewServeMux()
	mux.Handle("/api/v1/", http.StripPrefix("/api/v1", router))
	mux.Handle("/metrics", promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{}))
	ready := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "Prometheus Server is Ready.") }
	mux.HandleFunc("/-/ready", ready)
	mux.HandleFunc("/-/healthy", ready)
	return mux
}

// api builds Prometheus' API over the parts of this server. Rules, alerts,
// remote write, OTLP and administration are off.
func (s *Server) api() *api.API {
	retriever := func(context.Context) api.ScrapePoolsRetriever { return s.scraper }
	targets := func(context.Context) api.TargetRetriever { return s.scraper }
	alertmanagers := func(context.Context) api.AlertmanagerRetriever { return none{} }
	ruleGroups := func(context.Context) api.RulesRetriever { return none{} }
	return api.NewAPI(
		s.engine, s.db, nil, s.db,
		retriever, targets, alertmanagers,
		func() config.Config { return *s.config },
		map[string]string{},
		api.GlobalURLOptions{ListenAddress: s.addr, Host: s.addr, Scheme: "http"},
		func(h http.HandlerFunc) http.HandlerFunc { return h },
		database{s.db, s.stats}, s.dir,
		false, false, 0, // administration, search, search limit
		s.logger, ruleGroups,
		5e7, 10, 1<<20, // remote read: samples, concurrency, bytes in a frame
		false,                            // agent
		relabel.MustNewRegexp("").Regexp, // no other origin may read
		s.runtimeInfo,
		&api.PrometheusVersion{Version: "sandbox", GoVersion: runtime.Version()},
		func() []notifications.Notification { return nil },
		func() (<-chan notifications.Notification, func(), bool) { return nil, nil, false },
		s.registry, s.registry, nil,
		false, nil, // remote write
		false, false, false, // OTLP
		lookback,
		false, false, // type and unit labels, metadata
		nil, nil,
		api.OpenAPIOptions{ExternalURL: "http://" + s.addr, Version: "sandbox"},
		s.parser, false, time.Minute,
	)
}

func (s *Server) runtimeInfo() (api.RuntimeInfo, error) {
	dir, err := os.Getwd()
	if err != nil {
		return api.RuntimeInfo{}, fmt.Errorf("get working directory: %w", err)
	}
	return api.RuntimeInfo{
		StartTime:           s.started,
		CWD:                 dir,
		ServerTime:          time.Now(),
		ReloadConfigSuccess: true,
		LastConfigTime:      s.started,
		GoroutineCount:      runtime.NumGoroutine(),
		GOMAXPROCS:          runtime.GOMAXPROCS(0),
		StorageRetention:    "1d",
	}, nil
}

// none has no alertmanagers and no rules.
type none struct{}

func (none) Alertmanagers() []*url.URL            { return nil }
func (none) DroppedAlertmanagers() []*url.URL     { return nil }
func (none) RuleGroups() []*rules.Group           { return nil }
func (none) AlertingRules() []*rules.AlertingRule { return nil }

// database gives the API the statistics it shows under /status/tsdb.
type database struct {
	*tsdb.DB
	stats *tsdb.DBStats
}

func (d database) Stats(label string, limit int) (*tsdb.Stats, error) {
	return d.Head().Stats(label, limit), nil
}

func (d database) WALReplayStatus() (tsdb.WALReplayStatus, error) {
	return d.stats.Head.WALReplayStatus.GetWALReplayStatus(), nil
}

func (d database) BlockMetas() ([]tsdb.BlockMeta, error) { return d.DB.BlockMetas(), nil }
