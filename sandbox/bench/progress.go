package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"k8s.io/client-go/rest"
)

// state is what a Rollout says about itself, in published fields.
type state struct {
	Metadata struct {
		Name       string `json:"name"`
		Generation int64  `json:"generation"`
	} `json:"metadata"`
	Status struct {
		Phase              string `json:"phase"`
		Message            string `json:"message"`
		Abort              bool   `json:"abort"`
		ObservedGeneration string `json:"observedGeneration"`
		CurrentPodHash     string `json:"currentPodHash"`
		StableRS           string `json:"stableRS"`
		Canary             struct {
			Weights *struct {
				Canary struct {
					Weight int32 `json:"weight"`
				} `json:"canary"`
			} `json:"weights"`
		} `json:"canary"`
	} `json:"status"`
}

// takenBack reports whether the release was aborted and all requests are on stable again.
func (s state) takenBack() bool {
	w := s.Status.Canary.Weights
	return s.Status.Abort && s.stands("Degraded") && w != nil && w.Canary.Weight == 0
}

// paused reports whether the release waits for a person.
func (s state) paused() bool {
	return s.stands("Paused") && s.Status.CurrentPodHash != s.Status.StableRS
}

// healthy reports whether the Rollout runs what it is to run.
func (s state) healthy() bool {
	return s.stands("Healthy") && s.Status.CurrentPodHash != "" && s.Status.CurrentPodHash == s.Status.StableRS
}

// stands reports whether the Rollout is in a phase, with its present spec taken in.
func (s state) stands(phase string) bool {
	return s.Status.Phase == phase && s.Status.ObservedGeneration == strconv.FormatInt(s.Metadata.Generation, 10)
}

// progress follows the Rollouts of a namespace through one watch, which costs the API
// server little: the controller watches the same objects, and each is encoded once.
type progress struct {
	client *http.Client
	url    string

	mu sync.Mutex
	// ended is what those that are waited for have come to.
	ended   func(state) bool
	states  map[string]state
	former  map[string]string // the revisions to get away from
	arrived map[string]string // the revisions of those that have
	news    chan struct{}
}

func newProgress(config *rest.Config, namespace string) (*progress, error) {
	c, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("watch rollouts: %w", err)
	}
	return &progress{client: c, url: config.Host + "/apis/argoproj.io/v1alpha1/namespaces/" + namespace + "/rollouts?watch=true",
		ended: state.healthy, states: map[string]state{}, arrived: map[string]string{}, news: make(chan struct{}, 1)}, nil
}

// follow reads the watch until the context ends, anew when it breaks off.
func (p *progress) follow(ctx context.Context) {
	for ctx.Err() == nil {
		p.stream(ctx) //nolint:errcheck // a new watch starts with the present state
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (p *progress) stream(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return err
	}
	answer, err := p.client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close() //nolint:errcheck // nothing to lose
	for lines := json.NewDecoder(answer.Body); ; {
		var e struct {
			Type   string `json:"type"`
			Object state  `json:"object"`
		}
		if err := lines.Decode(&e); err != nil {
			return err
		}
		if e.Type != "ADDED" && e.Type != "MODIFIED" {
			continue
		}
		p.mu.Lock()
		p.see(e.Object)
		p.mu.Unlock()
		select {
		case p.news <- struct{}{}:
		default:
		}
	}
}

func (p *progress) see(s state) {
	name := s.Metadata.Name
	p.states[name] = s
	if delete(p.arrived, name); p.ended(s) && s.Status.CurrentPodHash != p.former[name] {
		p.arrived[name] = s.Status.CurrentPodHash
	}
}

// leave makes wait wait for other revisions than those that run now, and for their end.
func (p *progress) leave(ended func(state) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.former, p.arrived, p.ended = p.arrived, map[string]string{}, ended
}

// then makes wait wait for something else of the revisions that it waited for last.
func (p *progress) then(ended func(state) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.arrived, p.ended = map[string]string{}, ended
	for _, s := range p.states {
		p.see(s)
	}
}

// wait returns when n Rollouts have ended with another revision than at the last leave.
func (p *progress) wait(ctx context.Context, n int) error {
	for {
		p.mu.Lock()
		arrived := len(p.arrived)
		p.mu.Unlock()
		if arrived == n {
			return nil
		}
		select {
		case <-p.news:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d rollouts have ended%s: %w", arrived, n, p.straggler(), context.Cause(ctx))
		}
	}
}

// reach returns when one Rollout is as wanted.
func (p *progress) reach(ctx context.Context, name string, wanted func(state) bool) error {
	for {
		p.mu.Lock()
		s := p.states[name]
		p.mu.Unlock()
		if wanted(s) {
			return nil
		}
		select {
		case <-p.news:
		case <-ctx.Done():
			return fmt.Errorf("rollout %s is %q (%s): %w", name, s.Status.Phase, s.Status.Message, context.Cause(ctx))
		}
	}
}

// straggler describes one that has not ended.
func (p *progress) straggler() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, s := range p.states {
		if _, ok := p.arrived[name]; !ok {
			return fmt.Sprintf(", %s is %q (%s)", name, s.Status.Phase, s.Status.Message)
		}
	}
	return ""
}
