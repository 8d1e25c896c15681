// Command step is a step plugin: it starts a job over HTTP and waits until the job is done.
// What it remembers between calls is in the Rollout's status, so it may die at any time.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/plugin/v2"
)

func main() { plugin.Serve(plugin.OfStep(job{})) }

// config is the step's plugin.config.
type config struct {
	// URL makes a job with POST, tells of one with GET <url>/<id>, and ends it with DELETE.
	URL string `json:"url"`
	// Body is what is sent with the POST.
	Body json.RawMessage `json:"body"`
	// PollSeconds is how often the job is asked after; default 15.
	PollSeconds int `json:"pollSeconds"`
}

// state is what is remembered between calls.
type state struct {
	ID string `json:"id"`
}

// answer is what the server says of a job.
type answer struct {
	ID string `json:"id"`
	// Status is running, done or failed.
	Status  string `json:"status"`
	Message string `json:"message"`
}

type job struct{}

// Run implements plugin.Step: the first call makes the job, the others ask after it. The key
// is the same for every try of a release, so that an answer that was lost makes no second job.
func (job) Run(ctx context.Context, r plugin.StepRequest) (plugin.StepReply, error) {
	c, s, err := read(r)
	if err != nil {
		return plugin.StepReply{}, err
	}
	var a answer
	if s.ID == "" {
		key := fmt.Sprintf("%s/%s/%d", r.Rollout.UID, r.Rollout.Status.CurrentPodHash, r.Index)
		a, err = call(ctx, http.MethodPost, c.URL, string(c.Body), key)
	} else {
		a, err = call(ctx, http.MethodGet, c.URL+"/"+url.PathEscape(s.ID), "", "")
	}
	if err != nil {
		return plugin.StepReply{}, err
	}
	memory, err := json.Marshal(state{ID: a.ID})
	reply := plugin.StepReply{Message: a.Message, State: memory, Again: time.Duration(c.PollSeconds) * time.Second}
	switch a.Status {
	case "done":
		reply.Phase = v1alpha1.StepPluginPhaseSuccessful
	case "failed":
		reply.Phase = v1alpha1.StepPluginPhaseFailed
	case "running":
		reply.Phase = v1alpha1.StepPluginPhaseRunning
	default:
		return plugin.StepReply{}, fmt.Errorf("job %s has the status %q, which is none of running, done and failed", a.ID, a.Status)
	}
	return reply, err
}

// Terminate implements plugin.Step: the job has no use any more.
func (j job) Terminate(ctx context.Context, r plugin.StepRequest) (plugin.StepReply, error) {
	return j.Abort(ctx, r)
}

// Abort implements plugin.Step.
func (job) Abort(ctx context.Context, r plugin.StepRequest) (plugin.StepReply, error) {
	c, s, err := read(r)
	if err != nil {
		return plugin.StepReply{}, err
	}
	if s.ID != "" {
		if _, err := call(ctx, http.MethodDelete, c.URL+"/"+url.PathEscape(s.ID), "", ""); err != nil {
			return plugin.StepReply{}, err
		}
	}
	return plugin.StepReply{Phase: v1alpha1.StepPluginPhaseSuccessful, Message: "job ended", State: r.State}, nil
}

func read(r plugin.StepRequest) (c config, s state, err error) {
	if err := plugin.ReadConfig(r.Config, &c); err != nil {
		return c, s, err
	}
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return c, s, plugin.Refuse("url", fmt.Sprintf("want http://… or https://…, got %q", c.URL))
	case c.PollSeconds < 0:
		return c, s, plugin.Refuse("pollSeconds", "want a number of seconds")
	case c.PollSeconds == 0:
		c.PollSeconds = 15
	}
	if len(r.State) > 0 {
		err = json.Unmarshal(r.State, &s)
	}
	return c, s, err
}

func call(ctx context.Context, method, url, body, key string) (a answer, err error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return a, err
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	switch {
	case method == http.MethodDelete && (resp.StatusCode/100 == 2 || resp.StatusCode == http.StatusNotFound):
		return a, nil
	case resp.StatusCode/100 != 2:
		return a, fmt.Errorf("%s %s answers %s", method, url, resp.Status)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&a); err != nil {
		return a, fmt.Errorf("%s %s answers no JSON: %w", method, url, err)
	}
	if a.ID == "" {
		return a, fmt.Errorf("%s %s answers a job without an id", method, url)
	}
	return a, nil
}
