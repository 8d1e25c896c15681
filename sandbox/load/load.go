package load

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"
)

// headerVersion is where the demo server tells its version; without it the
// field "version" of a JSON body counts.
const headerVersion = "X-Demo-Version"

// maxBody is how much of an answer is read, in bytes.
const maxBody = 64 << 10

// tick is the least time between two looks at the clock; requests that became
// due meanwhile go out together. It keeps the generator cheap at high rates.
const tick = 2 * time.Millisecond

// Options of a Generator.
type Options struct {
	// URL that is requested with GET. Its host must be a loopback address.
	URL string
	// Host is the Host header; empty means that of the URL.
	Host string
	// Header is added to every request.
	Header http.Header
	// RatePerSecond is the number of requests per second, up to 100,000.
	RatePerSecond float64
	// Timeout of one request; 0 means 5 s.
	Timeout time.Duration
	// MaxInFlight bounds the requests under way; 0 means 256.
	MaxInFlight int
	// Transport sends the requests; nil means an own one with kept-alive
	// connections that dials only loopback.
	Transport http.RoundTripper
}

// Generator sends requests while Run runs.
type Generator struct {
	options Options
	url     *url.URL
	client  *http.Client
	slots   chan struct{}

	mu     sync.Mutex
	report Report
	times  histogram
}

// New checks the options. The error tells which one is wrong.
func New(o Options) (*Generator, error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, fmt.Errorf("parse load URL: %w", err)
	}
	if u.Scheme != "http" || !loopback(u.Host) {
		return nil, fmt.Errorf("load URL %q is not http on a loopback address", o.URL)
	}
	if !(o.RatePerSecond > 0 && o.RatePerSecond <= 100_000) {
		return nil, fmt.Errorf("load rate %v/s is outside 0 to 100000/s", o.RatePerSecond)
	}
	if o.Timeout < 0 || o.MaxInFlight < 0 {
		return nil, fmt.Errorf("load timeout %s or bound %d is negative", o.Timeout, o.MaxInFlight)
	}
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	if o.MaxInFlight == 0 {
		o.MaxInFlight = 256
	}
	if o.Transport == nil {
		o.Transport = &http.Transport{
			DialContext:         dialLoopback,
			MaxIdleConns:        o.MaxInFlight,
			MaxIdleConnsPerHost: o.MaxInFlight,
			DisableCompression:  true,
		}
	}
	client := &http.Client{
		Transport:     o.Transport,
		Timeout:       o.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &Generator{options: o, url: u, client: client, slots: make(chan struct{}, o.MaxInFlight)}, nil
}

func loopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

func dialLoopback(ctx context.Context, network, addr string) (net.Conn, error) {
	if !loopback(addr) {
		return nil, fmt.Errorf("dial %s: not a loopback address", addr)
	}
	return (&net.Dialer{}).DialContext(ctx, network, addr)
}

// Run sends load until ctx ends and returns the final report; see Generator.Run.
func Run(ctx context.Context, o Options) (Report, error) {
	g, err := New(o)
	if err != nil {
		return Report{}, err
	}
	g.Run(ctx)
	return g.Snapshot(), nil
}

// Run sends requests until ctx ends, then waits for those in flight, at most
// their timeout.
func (g *Generator) Run(ctx context.Context) {
	interval := time.Duration(float64(time.Second) / g.options.RatePerSecond)
	start := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	defer g.client.CloseIdleConnections()
	var inFlight sync.WaitGroup
	defer inFlight.Wait()
	dueAt := func(n int64) time.Time {
		return start.Add(time.Duration(math.Round(float64(n) / g.options.RatePerSecond * float64(time.Second))))
	}
	for n := int64(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		now := time.Now()
		for ; !dueAt(n).After(now) && ctx.Err() == nil; n++ {
			g.send(&inFlight, dueAt(n))
		}
		timer.Reset(max(time.Until(dueAt(n)), min(tick, interval)))
	}
}

// send starts one request unless too many are under way.
func (g *Generator) send(inFlight *sync.WaitGroup, due time.Time) {
	select {
	case g.slots <- struct{}{}:
	default:
		g.mu.Lock()
		g.report.Dropped++
		g.mu.Unlock()
		return
	}
	g.mu.Lock()
	g.report.Sent++
	g.mu.Unlock()
	inFlight.Go(func() {
		defer func() { <-g.slots }()
		// Not the context of Run: requests in flight finish within their timeout.
		status, version := g.request()
		g.count(status, version, time.Since(due))
	})
}

// request returns status 0 when there was no answer.
func (g *Generator) request() (status int, version string) {
	request := (&http.Request{
		Method: http.MethodGet, URL: g.url, Host: g.options.Host, Header: g.options.Header.Clone(),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(context.Background())
	if request.Header == nil {
		request.Header = http.Header{}
	}
	response, err := g.client.Do(request)
	if err != nil {
		return 0, ""
	}
	defer response.Body.Close() //nolint:errcheck // read to its end
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	if err != nil {
		return 0, ""
	}
	version = response.Header.Get(headerVersion)
	if version == "" {
		var answer struct{ Version string }
		if json.Unmarshal(body, &answer) == nil {
			version = answer.Version
		}
	}
	return response.StatusCode, version
}
