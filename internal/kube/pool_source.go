package kube

import (
	"context"
	"net/url"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// lane bounds the measurements that one source takes at a time, so that those of a source
// that hangs wait for each other and for nobody else.
type lane struct {
	slots chan struct{}
	users int // who has a slot or waits for one
}

// enter waits for a slot of a source; leave gives it back. ok is false once ctx has ended.
func (p *Pool) enter(ctx context.Context, source string) (leave func(), ok bool) {
	p.mu.Lock()
	l := p.lanes[source]
	if l == nil {
		l = &lane{slots: make(chan struct{}, p.width)}
		p.lanes[source] = l
	}
	l.users++
	p.mu.Unlock()
	out := func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if l.users--; l.users == 0 {
			delete(p.lanes, source)
		}
	}
	select {
	case l.slots <- struct{}{}:
		return func() { <-l.slots; out() }, true
	case <-ctx.Done():
		out()
		return nil, false
	}
}

// sourceOf names whom a metric asks: the kind of provider, and the host where it has one.
func sourceOf(m *v1alpha1.MetricProvider) string {
	host := func(kind, address string) string {
		if u, err := url.Parse(address); err == nil {
			return kind + " " + u.Host
		}
		return kind
	}
	switch {
	case m.Prometheus != nil:
		return host("prometheus", m.Prometheus.Address)
	case m.Web != nil:
		return host("web", m.Web.URL)
	case m.Graphite != nil:
		return host("graphite", m.Graphite.Address)
	case m.SkyWalking != nil:
		return host("skywalking", m.SkyWalking.Address)
	case m.Kayenta != nil:
		return host("kayenta", m.Kayenta.Address)
	case m.Wavefront != nil:
		return "wavefront " + m.Wavefront.Address
	case m.Datadog != nil:
		return "datadog"
	case m.NewRelic != nil:
		return "newRelic"
	case m.CloudWatch != nil:
		return "cloudWatch"
	case m.Influxdb != nil:
		return "influxdb " + m.Influxdb.Profile
	case m.Job != nil:
		return "job"
	}
	for name := range m.Plugin {
		return "plugin " + name
	}
	return ""
}
