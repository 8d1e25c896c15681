package prometheus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	client "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/tsdb"
)

// job is the value of the label job of every series.
const job = "sandbox"

// lookback is how old a sample an instant query may use; Prometheus' default.
const lookback = 5 * time.Minute

// Options of Start.
type Options struct {
	// Dir holds the database; it is created when missing and not removed by Stop.
	Dir string
	// Listen is the loopback address of the HTTP API; empty means a free port.
	Listen string
	// ScrapeInterval is the time between two scrapes of a target, from 10 ms;
	// 0 means 1 s. Targets is asked as often, at most once a second.
	ScrapeInterval time.Duration
	// Targets tells what to scrape now. It is called from one goroutine.
	Targets func() []Target
	// Logger receives what Prometheus logs; nil discards it.
	Logger *slog.Logger
}

// Server is a running Prometheus.
type Server struct {
	addr    string
	options Options
	config  *config.Config
	dir     string
	logger  *slog.Logger
	started time.Time

	stats    *tsdb.DBStats
	db       *tsdb.DB
	scraper  *scrape.Manager
	engine   *promql.Engine
	parser   parser.Parser
	registry *client.Registry
	http     *http.Server

	cancel  context.CancelFunc
	running sync.WaitGroup
	stop    sync.Once
	stopErr error
}

// Start opens the database and begins to scrape and to answer, until ctx ends
// or Stop is called. An error names the part that would not start.
func Start(ctx context.Context, o Options) (*Server, error) {
	if o.Dir == "" || o.Targets == nil {
		return nil, errors.New("start prometheus: Dir and Targets are required")
	}
	if o.ScrapeInterval == 0 {
		o.ScrapeInterval = time.Second
	}
	if o.ScrapeInterval < 10*time.Millisecond {
		return nil, fmt.Errorf("start prometheus: scrape interval %s is under 10ms", o.ScrapeInterval)
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if !loopback(o.Listen) {
		return nil, fmt.Errorf("start prometheus: %q is not a loopback address", o.Listen)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{options: o, dir: o.Dir, logger: o.Logger, registry: client.NewRegistry(), started: time.Now()}
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("start prometheus: %w", err)
	}
	listener, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start prometheus: %w", err), s.db.Close())
	}
	s.addr = listener.Addr().String()
	ctx, s.cancel = context.WithCancel(ctx)
	s.run(ctx, listener)
	return s, nil
}

// open makes the parts, in the order in which they need each other.
func (s *Server) open() (err error) {
	if s.config, err = scrapeConfig(s.options.ScrapeInterval, s.logger); err != nil {
		return err
	}
	options := tsdb.DefaultOptions()
	options.WALSegmentSize = -1 // no write-ahead log
	options.StripeSize = 1 << 10
	options.RetentionDuration = (24 * time.Hour).Milliseconds()
	s.stats = tsdb.NewDBStats()
	if s.db, err = tsdb.Open(s.dir, s.logger, s.registry, options, s.stats); err != nil {
		return fmt.Errorf("open database in %s: %w", s.dir, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.db.Close())
		}
	}()
	reload := min(s.options.ScrapeInterval, time.Second)
	s.scraper, err = scrape.NewManager(&scrape.Options{
		DiscoveryReloadInterval:  model.Duration(reload),
		DiscoveryReloadOnStartup: true,
	}, s.logger, nil, nil, s.db, s.registry)
	if err != nil {
		return fmt.Errorf("make scrape manager: %w", err)
	}
	if err := s.scraper.ApplyConfig(s.config); err != nil {
		return fmt.Errorf("configure scrape manager: %w", err)
	}
	s.parser = parser.NewParser(parser.Options{})
	s.engine = promql.NewEngine(promql.EngineOpts{
		Logger:               s.logger,
		Reg:                  s.registry,
		MaxSamples:           10_000_000,
		Timeout:              time.Minute,
		LookbackDelta:        lookback,
		EnableAtModifier:     true,
		EnableNegativeOffset: true,
		Parser:               s.parser,
	})
	return nil
}

// scrapeConfig is the configuration file that this server stands for.
func scrapeConfig(interval time.Duration, logger *slog.Logger) (*config.Config, error) {
	d := model.Duration(interval).String()
	text := fmt.Sprintf(`
global: {scrape_interval: %[1]s, scrape_timeout: %[1]s}
scrape_configs:
- {job_name: %[2]s, honor_labels: true, follow_redirects: false}
`, d, job)
	c, err := config.Load(text, logger)
	if err != nil {
		return nil, fmt.Errorf("load configuration: %w", err)
	}
	return c, nil
}

func (s *Server) run(ctx context.Context, listener net.Listener) {
	s.http = &http.Server{
		Handler:           s.routes(),
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	sets := make(chan map[string][]*targetgroup.Group)
	s.running.Go(func() { s.scraper.Run(sets) })    //nolint:errcheck // always nil
	s.running.Go(func() { s.http.Serve(listener) }) //nolint:errcheck // ends with ErrServerClosed by Stop
	s.running.Go(func() { s.followTargets(ctx, sets) })
	context.AfterFunc(ctx, func() { s.Stop() }) //nolint:errcheck // a second Stop reports it again
}

// URL is the base of the HTTP API, as http://127.0.0.1:port.
func (s *Server) URL() string { return "http://" + s.addr }

// Stop ends scraping and answering and closes the database. Every call waits
// for the end and returns the same error.
func (s *Server) Stop() error {
	s.stop.Do(func() {
		s.cancel()
		s.scraper.Stop()
		err := s.http.Close()
		s.running.Wait()
		s.stopErr = errors.Join(err, s.engine.Close(), s.db.Close())
	})
	return s.stopErr
}

func loopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
