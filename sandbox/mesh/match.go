package mesh

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// request is what matches look at; the query is parsed at most once.
type request struct {
	*http.Request
	host  string
	query url.Values
}

func newRequest(r *http.Request) *request {
	return &request{Request: r, host: hostOf(r)}
}

// hostOf is the requested host, lower case and without port.
func hostOf(r *http.Request) string {
	host := r.Host
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	return strings.ToLower(host)
}

func (r *request) param(name string) (value string, present bool) {
	if r.query == nil {
		r.query = r.URL.Query()
	}
	values, present := r.query[name]
	if !present || len(values) == 0 {
		return "", false
	}
	return values[0], true
}

// header joins repeated headers as RFC 9110 section 5.2 says.
func (r *request) header(name string) (value string, present bool) {
	values := r.Header.Values(name)
	if strings.EqualFold(name, "host") || strings.EqualFold(name, ":authority") {
		return r.Host, true
	}
	return strings.Join(values, ","), len(values) > 0
}

// A match holds when all of its conditions do; without conditions it always holds.
type match []func(*request) bool

func (m match) holds(r *request) bool {
	for _, condition := range m {
		if !condition(r) {
			return false
		}
	}
	return true
}

type text func(string) bool

func exact(want string) text     { return func(s string) bool { return s == want } }
func hasPrefix(want string) text { return func(s string) bool { return strings.HasPrefix(s, want) } }

// fullRegex matches the whole text, as Envoy does.
func fullRegex(pattern string) (text, error) {
	re, err := regexp.Compile("^(?:" + pattern + ")$")
	if err != nil {
		return nil, fmt.Errorf("compile %q: %w", pattern, err)
	}
	return re.MatchString, nil
}

// compile gives nil for an empty match, which asks for presence only.
func (s istioString) compile() (text, error) {
	switch {
	case s.Exact != nil:
		return exact(*s.Exact), nil
	case s.Prefix != nil:
		return hasPrefix(*s.Prefix), nil
	case s.Regex != nil:
		return fullRegex(*s.Regex)
	}
	return nil, nil
}

// compile translates one match of a VirtualService.
func (m istioMatch) compile() (match, error) {
	var out match
	if len(m.SourceLabels) > 0 || m.SourceNamespace != "" {
		return match{func(*request) bool { return false }}, nil
	}
	path := func(r *request) string { return r.URL.Path }
	if m.IgnoreURICase && m.URI != nil {
		path = func(r *request) string { return strings.ToLower(r.URL.Path) }
		m.URI = m.URI.lower()
	}
	for _, field := range []struct {
		want *istioString
		of   func(*request) string
	}{
		{m.URI, path},
		{m.Scheme, func(*request) string { return "http" }},
		{m.Method, func(r *request) string { return r.Method }},
		{m.Authority, func(r *request) string { return r.Host }},
	} {
		if field.want == nil {
			continue
		}
		holds, err := field.want.compile()
		if err != nil {
			return nil, err
		}
		if holds != nil {
			out = append(out, func(r *request) bool { return holds(field.of(r)) })
		}
	}
	named, err := m.compileNamed()
	return append(out, named...), err
}

// compileNamed translates the conditions on headers and query parameters.
func (m istioMatch) compileNamed() (match, error) {
	var out match
	for _, named := range []struct {
		want    map[string]istioString
		of      func(*request, string) (string, bool)
		without bool
	}{
		{m.Headers, (*request).header, false},
		{m.WithoutHeaders, (*request).header, true},
		{m.QueryParams, (*request).param, false},
	} {
		for name, want := range named.want {
			holds, err := want.compile()
			if err != nil {
				return nil, err
			}
			out = append(out, func(r *request) bool {
				value, present := named.of(r, name)
				return (present && (holds == nil || holds(value))) != named.without
			})
		}
	}
	return out, nil
}

func (s istioString) lower() *istioString {
	for _, p := range []**string{&s.Exact, &s.Prefix} {
		if *p != nil {
			low := strings.ToLower(**p)
			*p = &low
		}
	}
	return &s
}

// httpMatch is a match of a HTTPRoute with its place in the precedence order.
type httpMatch struct {
	match
	rank [5]int // greater goes first
}

// compileHTTP translates one match of a HTTPRoute. The rank follows the Gateway
// API: exact path, then the longest prefix, then a method, then most headers,
// then most query parameters; a regular expression, whose place is left open
// there, ranks between exact and prefix.
func compileHTTP(m gatewayv1.HTTPRouteMatch) (httpMatch, error) {
	var out httpMatch
	if err := out.addPath(m.Path); err != nil {
		return out, err
	}
	if m.Method != nil {
		method := string(*m.Method)
		out.rank[2] = 1
		out.match = append(out.match, func(r *request) bool { return r.Method == method })
	}
	for _, h := range m.Headers {
		holds, err := valueMatch(h.Type != nil && *h.Type == gatewayv1.HeaderMatchRegularExpression, h.Value)
		if err != nil {
			return out, err
		}
		out.match = append(out.match, func(r *request) bool {
			value, present := r.header(string(h.Name))
			return present && holds(value)
		})
	}
	for _, q := range m.QueryParams {
		holds, err := valueMatch(q.Type != nil && *q.Type == gatewayv1.QueryParamMatchRegularExpression, q.Value)
		if err != nil {
			return out, err
		}
		out.match = append(out.match, func(r *request) bool {
			value, present := r.param(string(q.Name))
			return present && holds(value)
		})
	}
	out.rank[3], out.rank[4] = len(m.Headers), len(m.QueryParams)
	return out, nil
}

func valueMatch(regex bool, value string) (text, error) {
	if regex {
		return fullRegex(value)
	}
	return exact(value), nil
}

func (m *httpMatch) addPath(p *gatewayv1.HTTPPathMatch) error {
	kind, value := gatewayv1.PathMatchPathPrefix, "/"
	if p != nil && p.Type != nil {
		kind = *p.Type
	}
	if p != nil && p.Value != nil {
		value = *p.Value
	}
	var holds text
	switch kind {
	case gatewayv1.PathMatchExact:
		holds, m.rank[0] = exact(value), 2
	case gatewayv1.PathMatchRegularExpression:
		var err error
		if holds, err = fullRegex(value); err != nil {
			return err
		}
		m.rank[0] = 1
	case gatewayv1.PathMatchPathPrefix:
		// Whole segments: /shop covers /shop and /shop/cart, not /shopping.
		prefix := strings.TrimSuffix(value, "/")
		holds = func(s string) bool {
			return strings.HasPrefix(s, prefix) && (len(s) == len(prefix) || s[len(prefix)] == '/')
		}
	default:
		return fmt.Errorf("path match type %q is unknown", kind)
	}
	m.rank[1] = len(value)
	m.match = append(m.match, func(r *request) bool { return holds(r.URL.Path) })
	return nil
}
