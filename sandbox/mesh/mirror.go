package mesh

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync"
	"time"
)

const (
	// maxShadows bounds the mirrored requests under way; more are lost.
	maxShadows = 128
	// maxShadowBody is the largest body that is mirrored, in bytes.
	maxShadowBody = 64 << 10
	// shadowTimeout ends a mirrored request.
	shadowTimeout = 10 * time.Second
)

// shadows sends mirrored requests. Nobody waits for their answers.
type shadows struct {
	transport http.RoundTripper
	counts    *counts
	slots     chan struct{}
	ctx       context.Context
	cancel    context.CancelFunc
	running   *sync.WaitGroup
}

func newShadows(t http.RoundTripper, c *counts) shadows {
	ctx, cancel := context.WithCancel(context.Background())
	return shadows{t, c, make(chan struct{}, maxShadows), ctx, cancel, &sync.WaitGroup{}}
}

// close cuts off the mirrored requests under way. It is called when no request
// can start another one.
func (s shadows) close() {
	s.cancel()
	s.running.Wait()
}

// mirror sends copies of r to the mirrors of where it goes.
func (g *Gateway) mirror(mirrors []mirror, r *http.Request, key Key) {
	var body []byte
	read, fits := false, true
	for _, m := range mirrors {
		if !m.share.next() {
			continue
		}
		if !read {
			body, fits = peekBody(r)
			read = true
		}
		g.shadow(m.destination, r, body, fits, key)
	}
}

// peekBody reads a body that may be mirrored and leaves r as it was.
func peekBody(r *http.Request) (body []byte, fits bool) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, true
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxShadowBody+1))
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), r.Body), r.Body}
	return body, err == nil && len(body) <= maxShadowBody
}

func (g *Gateway) shadow(d *destination, r *http.Request, body []byte, fits bool, key Key) {
	key.Mirror = true
	addr, pod, refused := g.choose(d, &key)
	if refused.status == 0 && !fits {
		refused = refusal{http.StatusServiceUnavailable, MirrorLost}
	}
	if refused.status == 0 {
		select {
		case g.shadows.slots <- struct{}{}:
		default:
			refused = refusal{http.StatusServiceUnavailable, MirrorLost}
		}
	}
	if refused.status != 0 {
		key.Class, key.Reason = class(refused.status), refused.reason
		g.counts.add(key)
		return
	}
	copied := r.Clone(context.WithoutCancel(r.Context()))
	copied.URL.Scheme, copied.URL.Host, copied.RequestURI = "http", addr, ""
	copied.Body, copied.ContentLength, copied.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	if len(body) == 0 {
		copied.Body = http.NoBody
	}
	copied.Header.Del("Connection")
	g.shadows.running.Go(func() {
		defer func() { <-g.shadows.slots }()
		g.shadows.send(copied, pod, key)
	})
}

func (s shadows) send(r *http.Request, pod endpoint, key Key) {
	ctx, cancel := context.WithTimeout(s.ctx, shadowTimeout)
	defer cancel()
	response, err := s.transport.RoundTrip(r.WithContext(ctx))
	if err != nil {
		key.Class, key.Reason = class(http.StatusServiceUnavailable), Unreachable
		s.counts.add(key)
		return
	}
	defer response.Body.Close()                               //nolint:errcheck // nobody reads it
	io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20)) //nolint:errcheck // nobody reads it
	key.Class, key.Version = class(response.StatusCode), pod.version(response.Header.Get(headerVersion))
	s.counts.add(key)
}
