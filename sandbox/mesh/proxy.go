package mesh

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httputil"
	"slices"
	"sync"
)

// headerVersion is where the demo server tells its version.
const headerVersion = "X-Demo-Version"

// headerReason tells a client why the gateway answered itself.
const headerReason = "X-Sandbox-Reason"

// statusClientLeft is what is counted for a client that did not wait.
const statusClientLeft = 499

// exchange is one request on its way to a pod.
type exchange struct {
	addr  string // loopback
	count func(status int, version string, reason Reason)
}

type exchangeKey struct{}

func exchangeOf(ctx context.Context) *exchange { return ctx.Value(exchangeKey{}).(*exchange) }

// ServeHTTP routes one request.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Host == g.Addr() && r.URL.Path == "/metrics" {
		g.metrics.ServeHTTP(w, r)
		return
	}
	key := Key{}
	table := g.table.Load()
	if table == nil {
		g.refuse(w, key, refusal{http.StatusServiceUnavailable, NotReady})
		return
	}
	to, host := table.find(newRequest(r))
	key.Host = host
	if to == nil {
		g.refuse(w, key, refusal{http.StatusNotFound, NoRoute})
		return
	}
	key.Route = to.name
	if to.status != 0 {
		g.refuse(w, key, to.refusal)
		return
	}
	d := to.pick()
	g.mirror(slices.Concat(to.mirrors, d.mirrors), r, key)
	addr, pod, refused := g.choose(d, &key)
	if refused.status != 0 {
		g.refuse(w, key, refused)
		return
	}
	x := &exchange{addr: addr, count: func(status int, answered string, reason Reason) {
		key := key
		key.Class, key.Version, key.Reason = class(status), pod.version(answered), reason
		g.counts.add(key)
	}}
	g.proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x)))
}

// choose finds the next ready pod of a destination and fills in the key.
func (g *Gateway) choose(d *destination, key *Key) (addr string, pod endpoint, refused refusal) {
	key.Service, key.Subset = d.service, d.subset
	if d.status != 0 {
		return "", endpoint{}, d.refusal
	}
	pod = d.ready[d.cursor.next(len(d.ready))]
	key.Hash, key.Version = pod.hash(), pod.version("")
	addr, ok := g.addr(pod.ip, pod.port)
	if !ok {
		return "", pod, refusal{http.StatusServiceUnavailable, NoListener}
	}
	return addr, pod, refusal{}
}

// refuse counts first and then answers, as everything here does: who has seen
// an answer finds it counted.
func (g *Gateway) refuse(w http.ResponseWriter, key Key, r refusal) {
	key.Class, key.Reason = class(r.status), r.reason
	g.counts.add(key)
	answerRefusal(w, r)
}

func answerRefusal(w http.ResponseWriter, r refusal) {
	w.Header().Set(headerReason, string(r.reason))
	http.Error(w, fmt.Sprintf("gateway: %s", r.reason), r.status)
}

// newProxy forwards a request to the address of its exchange and counts it when
// its answer begins.
func newProxy(transport http.RoundTripper) http.Handler {
	return &httputil.ReverseProxy{
		Transport:  transport,
		BufferPool: &buffers{},
		ErrorLog:   quiet(),
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme = "http"
			p.Out.URL.Host = exchangeOf(p.In.Context()).addr
			p.Out.Host = p.In.Host
			p.SetXForwarded()
		},
		ModifyResponse: func(r *http.Response) error {
			exchangeOf(r.Request.Context()).count(r.StatusCode, r.Header.Get(headerVersion), "")
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			x := exchangeOf(r.Context())
			if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
				x.count(statusClientLeft, "", ClientLeft)
				return
			}
			x.count(http.StatusServiceUnavailable, "", Unreachable)
			answerRefusal(w, refusal{http.StatusServiceUnavailable, Unreachable})
		},
	}
}

// buffers lends the proxy its copy buffers.
type buffers struct{ pool sync.Pool }

// Get implements httputil.BufferPool.
func (b *buffers) Get() []byte {
	if p, found := b.pool.Get().(*[]byte); found {
		return *p
	}
	return make([]byte, 8<<10)
}

// Put implements httputil.BufferPool.
func (b *buffers) Put(p []byte) { b.pool.Put(&p) }
