// Command traffic is a traffic router plugin for an edge proxy that has an admin interface: a
// JSON document for each site with its origins and their weights.
//
//	GET  <admin>/sites/<site>   the document, its version in ETag, and in X-Serving the
//	                            version that all proxies have taken up
//	PUT  <admin>/sites/<site>   another one, if If-Match is still its version
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/penstock-io/penstock/plugin/v2"
)

func main() { plugin.Serve(plugin.OfTraffic(edge{})) }

// config is the entry under trafficRouting.plugins.
type config struct {
	// Admin is the URL of the admin interface, Site the name of the document.
	Admin string `json:"admin"`
	Site  string `json:"site"`
}

type edge struct{}

// Observe implements plugin.Traffic.
func (edge) Observe(ctx context.Context, r plugin.TrafficRequest) (plugin.Observation, error) {
	s, err := open(ctx, r)
	if err != nil {
		return plugin.Observation{}, err
	}
	o := plugin.Observation{Written: s.split(r), Again: 10 * time.Second, Verifies: s.serving != "", Confirmed: s.serving != "" && s.serving == s.version}
	if missing := s.missing(r); missing != "" {
		o.Problem = fmt.Sprintf("site %s has no origin %s: add it to the site", s.site, missing)
	}
	return o, nil
}

// Apply implements plugin.Traffic.
func (edge) Apply(ctx context.Context, r plugin.TrafficRequest, split plugin.Split) error {
	s, err := open(ctx, r)
	if status.Code(err) == codes.NotFound && split.IsZero() {
		return nil // there is nothing of ours
	}
	if err != nil {
		return err
	}
	if len(split.Headers)+len(split.Mirrors) > 0 {
		return errors.New("the edge has no header routes and no mirrors: leave out setHeaderRoute and setMirrorRoute")
	}
	if missing := s.missing(r); missing != "" {
		return fmt.Errorf("site %s has no origin %s: add it to the site", s.site, missing)
	}
	if split.IsZero() { // as it was before: all to stable
		split.Destinations = []plugin.Destination{{Service: r.StableService, Weight: s.split(r).Total}, {Service: r.CanaryService}}
	}
	origins := s.weighted(split)
	if reflect.DeepEqual(origins, s.document["origins"]) {
		return nil
	}
	s.document["origins"] = origins
	return s.save(ctx)
}

// site is one document, as it was read. What of it is not ours stays as it is.
type site struct {
	url, site        string
	document         map[string]any
	version, serving string
}

func open(ctx context.Context, r plugin.TrafficRequest) (*site, error) {
	var c config
	if err := plugin.ReadConfig(r.Config, &c); err != nil {
		return nil, err
	}
	u, err := url.Parse(c.Admin)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, plugin.Refuse("admin", fmt.Sprintf("want http://… or https://…, got %q", c.Admin))
	case c.Site == "":
		return nil, plugin.Refuse("site", "want the name of a site of the edge")
	case r.StableService == "" || r.CanaryService == "":
		return nil, errors.New("the edge knows Services only: set stableService and canaryService")
	}
	s := &site{url: u.JoinPath("sites", c.Site).String(), site: c.Site}
	header, body, err := s.call(ctx, http.MethodGet, nil)
	if err != nil {
		return nil, err
	}
	s.version, s.serving = header.Get("ETag"), header.Get("X-Serving")
	if err := json.Unmarshal(body, &s.document); err != nil {
		return nil, fmt.Errorf("%s answers no JSON: %w", s.url, err)
	}
	return s, nil
}

// missing is which of the two origins the site does not have.
func (s *site) missing(r plugin.TrafficRequest) string {
	for _, name := range []string{r.StableService, r.CanaryService} {
		if !slices.ContainsFunc(s.split(r).Destinations, func(d plugin.Destination) bool { return d.Service == name }) {
			return name
		}
	}
	return ""
}

// split is what the document asks for: an origin has a name, a weight, and whatever else the
// edge knows of. Origins beside the two are an experiment's.
func (s *site) split(r plugin.TrafficRequest) (w plugin.Split) {
	list, _ := s.document["origins"].([]any)
	for _, entry := range list {
		origin, _ := entry.(map[string]any)
		name, _ := origin["name"].(string)
		weight, _ := origin["weight"].(float64)
		d := plugin.Destination{Role: plugin.Extra, Service: name, Weight: int32(min(max(weight, 0), 1<<20))}
		switch name {
		case r.StableService:
			d.Role = plugin.Stable
		case r.CanaryService:
			d.Role = plugin.Canary
		}
		w.Total += d.Weight
		w.Destinations = append(w.Destinations, d)
	}
	return w
}

// weighted are the origins that make the split: those that stay in their places, then those
// that come.
func (s *site) weighted(split plugin.Split) (list []any) {
	wanted := map[string]float64{}
	for _, d := range split.Destinations {
		wanted[d.Service] = float64(d.Weight)
	}
	before, _ := s.document["origins"].([]any)
	for _, entry := range before {
		origin, _ := entry.(map[string]any)
		name, _ := origin["name"].(string)
		if weight, stays := wanted[name]; stays {
			origin = maps.Clone(origin)
			origin["weight"] = weight
			list = append(list, origin)
			delete(wanted, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		list = append(list, map[string]any{"name": name, "weight": wanted[name]})
	}
	return list
}

func (s *site) save(ctx context.Context) error {
	raw, err := json.Marshal(s.document)
	if err != nil {
		return err
	}
	_, _, err = s.call(ctx, http.MethodPut, raw)
	return err
}

func (s *site) call(ctx context.Context, method string, body []byte) (http.Header, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.url, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	if method == http.MethodPut {
		req.Header.Set("If-Match", s.version)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	switch {
	case resp.StatusCode == http.StatusNotFound:
		return nil, nil, status.Errorf(codes.NotFound, "the edge has no site %s: %s answers %s", s.site, s.url, resp.Status)
	case resp.StatusCode == http.StatusPreconditionFailed:
		return nil, nil, status.Errorf(codes.Aborted, "somebody else has written the site %s in between", s.site)
	case resp.StatusCode/100 != 2:
		return nil, nil, fmt.Errorf("%s %s answers %s", method, s.url, resp.Status)
	}
	return resp.Header, answer, err
}
