package outbound

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Client makes requests. It keeps connections open between them, and is safe for
// concurrent use.
type Client struct {
	guard            *Guard
	secure, insecure *http.Transport
}

// New makes a Client; a nil Guard refuses nothing.
func New(g *Guard) *Client {
	return &Client{guard: g, secure: transport(g, false), insecure: transport(g, true)}
}

// transport is the default one of net/http, proxies included.
func transport(g *Guard, insecure bool) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 8
	t.DialContext = (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second, Control: g.control}).DialContext
	if insecure {
		t.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the metric asks for it
	}
	return t
}

// Call is what a request needs beside itself.
type Call struct {
	// Limit is the time limit of everything; the error names it.
	Limit time.Duration
	// Insecure skips the check of the server's certificate.
	Insecure bool
	// MaxAnswer is the most that is read of the answer, in bytes; default 1 MiB.
	MaxAnswer int64
}

// DefaultMaxAnswer is the most that is read of an answer, in bytes, where a Call sets nothing.
const DefaultMaxAnswer = 1 << 20

// Answer is what came back, whole.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do makes the request and reads the answer. The error is one sentence that names the
// place without query and user, and may hold text of the server: redact it.
func (c *Client) Do(ctx context.Context, req *http.Request, call Call) (Answer, error) {
	limited, cancel := context.WithTimeout(ctx, call.Limit)
	defer cancel()
	a, err := c.do(req.WithContext(limited), call)
	if err == nil {
		return a, nil
	}
	return Answer{}, Explain(ctx, limited, strings.ToLower(req.Method)+" "+Place(req.URL), call.Limit, err)
}

func (c *Client) do(req *http.Request, call Call) (Answer, error) {
	client := &http.Client{Transport: c.Transport(call.Insecure, call.MaxAnswer), CheckRedirect: SameHost}
	resp, err := client.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return Answer{}, err
	}
	return Answer{Status: resp.StatusCode, Header: resp.Header, Body: body}, nil
}

// Transport is for client libraries that make requests themselves: guarded, with a bound
// on what is read of each answer; 0 means DefaultMaxAnswer.
func (c *Client) Transport(insecure bool, maxAnswer int64) http.RoundTripper {
	if maxAnswer == 0 {
		maxAnswer = DefaultMaxAnswer
	}
	t := &guarded{guard: c.guard, base: c.secure, max: maxAnswer}
	if insecure {
		t.base = c.insecure
	}
	return t
}

type guarded struct {
	guard *Guard
	base  http.RoundTripper
	max   int64
}

// RoundTrip implements http.RoundTripper.
func (g *guarded) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := g.guard.checkURL(r.URL); err != nil {
		return nil, err
	}
	resp, err := g.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = &bounded{ReadCloser: resp.Body, left: g.max, max: g.max}
	return resp, nil
}

// bounded is a body of which only so much can be read; more is an error, never a silent end.
type bounded struct {
	io.ReadCloser
	left, max int64
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if b.left < 0 {
		return 0, b.tooLarge()
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left+1)])
	if b.left -= int64(n); b.left < 0 {
		return n - 1, b.tooLarge()
	}
	return n, err
}

func (b *bounded) tooLarge() error { return fmt.Errorf("the answer is larger than %d KiB", b.max>>10) }

// SameHost is for http.Client: credentials and trust belong to the host that the metric
// names, so that a redirect elsewhere is an error.
func SameHost(r *http.Request, via []*http.Request) error {
	first := via[0].URL
	if r.URL.Host != first.Host || first.Scheme == "https" && r.URL.Scheme != "https" {
		return errors.New("the answer is a redirect to another host, which is not followed")
	}
	if len(via) >= 10 {
		return errors.New("stopped after 10 redirects")
	}
	return nil
}

// Place is a URL without what may be secret in it.
func Place(u *url.URL) string { return u.Scheme + "://" + u.Host + u.Path }

// Explain says in one line why there is no answer. limited is ctx with the time limit.
func Explain(ctx, limited context.Context, what string, limit time.Duration, err error) error {
	var inURL *url.Error
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", what, ctx.Err())
	case errors.Is(limited.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%s: no answer within the timeout of %s", what, limit)
	case errors.As(err, &inURL):
		err = inURL.Err
	}
	return fmt.Errorf("%s: %w", what, oneLine{err})
}

// oneLine keeps an error one line, whatever a server put into it.
type oneLine struct{ error }

func (e oneLine) Error() string { return strings.Join(strings.Fields(e.error.Error()), " ") }

func (e oneLine) Unwrap() error { return e.error }
