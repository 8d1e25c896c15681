package workload

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Headers that every answer carries beside the same facts in its body.
const (
	HeaderVersion = "X-Demo-Version"
	HeaderPod     = "X-Demo-Pod"
)

// stopGrace is how long Stop lets requests in flight finish.
const stopGrace = 2 * time.Second

// Answer is the JSON body of every answer except metrics.
type Answer struct {
	Service string `json:"service"`
	Version string `json:"version"`
	Pod     string `json:"pod"`
}

// Server is one running demo pod. Its methods may be called from any
// goroutine and more than once.
type Server struct {
	spec     Spec
	addr     string
	http     *http.Server
	faults   *faults
	body     []byte
	registry *prometheus.Registry
	ok, bad  prometheus.Counter
	duration prometheus.Observer
}

// Start serves spec on a free loopback port until Stop. The error is that of
// opening the port.
func Start(spec Spec) (*Server, error) {
	body, err := json.Marshal(Answer{Service: spec.Service, Version: spec.Version, Pod: spec.Pod})
	if err != nil {
		return nil, fmt.Errorf("encode answer of pod %q: %w", spec.Pod, err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for pod %q: %w", spec.Pod, err)
	}
	s := &Server{spec: spec, addr: listener.Addr().String(), faults: newFaults(spec), body: append(body, '\n')}
	s.register()
	mux := http.NewServeMux()
	mux.HandleFunc("/", s.answer)
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.Handle("/metrics", promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{}))
	s.http = &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	go s.http.Serve(listener) //nolint:errcheck // ends with ErrServerClosed by Stop
	return s, nil
}

// register gives the server its own registry, so that many pods fit into one
// process. Both statuses exist from the start: a rate over them is 0, not
// absent, before the first failure.
func (s *Server) register() {
	s.registry = prometheus.NewRegistry()
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "http_requests_total",
		Help: "Requests answered, by status code.",
	}, []string{"service", "version", "status"})
	durations := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "http_request_duration_seconds",
		Help:    "Time to answer a request.",
		Buckets: []float64{.005, .01, .025, .05, .075, .1, .15, .2, .25, .3, .4, .5, .75, 1, 1.5, 2},
	}, []string{"service", "version"})
	s.registry.MustRegister(requests, durations)
	s.ok = requests.WithLabelValues(s.spec.Service, s.spec.Version, "200")
	s.bad = requests.WithLabelValues(s.spec.Service, s.spec.Version, "500")
	s.duration = durations.WithLabelValues(s.spec.Service, s.spec.Version)
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	fails, latency := s.faults.next()
	if latency > 0 {
		timer := time.NewTimer(latency)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			return // the client left; nobody saw an answer, so none is counted
		}
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(s.body)))
	h.Set(HeaderVersion, s.spec.Version)
	h.Set(HeaderPod, s.spec.Pod)
	// Counted before the answer is sent: who has seen the answer finds it counted.
	s.duration.Observe(time.Since(start).Seconds())
	if fails {
		s.bad.Inc()
		w.WriteHeader(http.StatusInternalServerError)
	} else {
		s.ok.Inc()
	}
	w.Write(s.body) //nolint:errcheck // the client left
}

// Addr is the loopback address, as 127.0.0.1:port.
func (s *Server) Addr() string { return s.addr }

// Spec is what the server was started with.
func (s *Server) Spec() Spec { return s.spec }

// Drain makes clients leave: kept-alive connections are closed after their
// next answer, new requests are still served.
func (s *Server) Drain() { s.http.SetKeepAlivesEnabled(false) }

// Stop closes the port at once, lets requests in flight finish for at most
// 2 s, and then cuts them off.
func (s *Server) Stop() {
	ctx, cancel := context.WithTimeout(context.Background(), stopGrace)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		s.http.Close() //nolint:errcheck // only the closed listener's error
	}
}
