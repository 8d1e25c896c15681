package story

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/sim"
)

// player plays one story in a simulated world.
type player struct {
	story      *Story
	world      *sim.World
	log        strings.Builder
	silent     bool
	last       string
	answers    []answer
	asked      map[string]v1alpha1.Metric
	unanswered string
}

// Run plays a story and returns its log. The error names the line of the script that did
// not come true, with what was true instead, or the law of the house that was broken. The
// log is complete up to that point.
func Run(s Story) (log string, err error) {
	p := &player{story: &s, asked: map[string]v1alpha1.Metric{}}
	pinned := false
	if c := s.Rollout.Spec.Strategy.Canary; c != nil && c.TrafficRouting != nil {
		pinned = c.TrafficRouting.Istio != nil && c.TrafficRouting.Istio.DestinationRule != nil
	}
	p.world = sim.New(s.Rollout, sim.Options{Pinned: pinned, Log: p.line, Tick: p.tick})
	p.world.Templates, p.world.Metric = s.Templates, p.measure
	for _, l := range s.Script {
		do, err := compile(l)
		if err == nil {
			err = do(p)
		}
		if err != nil {
			return p.log.String(), fmt.Errorf("line %d: %s: %w", l.Number, l.Text, err)
		}
	}
	p.world.Instant()
	if p.unanswered != "" {
		return p.log.String(), errors.New(p.unanswered)
	}
	if laws := p.world.Broken(); len(laws) > 0 {
		return p.log.String(), fmt.Errorf("a law is broken: %s", strings.Join(laws, "; "))
	}
	return p.log.String(), nil
}

func (p *player) elapsed() time.Duration { return p.world.Now.Sub(sim.Start) }

// line is one line of the log.
func (p *player) line(text string) {
	if !p.silent {
		fmt.Fprintf(&p.log, "%s %s\n", sim.Clock(p.elapsed()), text)
	}
}

// tick notes what is true now, whenever that has changed.
func (p *player) tick() {
	now := p.world.Describe()
	if p.silent || now == p.last {
		return
	}
	p.last = now
	p.line("  now " + now)
}

func (p *player) phase() string {
	st := &p.world.Rollout.Status
	if st.Message == "" {
		return string(st.Phase)
	}
	return string(st.Phase) + ": " + p.world.Name(st.Message)
}

// where helps to understand a failure: what is true, and what the planner waits for.
func (p *player) where() string {
	text := fmt.Sprintf("at %s phase is %q and %s", sim.Clock(p.elapsed()), p.phase(), p.world.Describe())
	if waits := p.world.Waits(); len(waits) > 0 {
		text += "; the planner waits: " + p.world.Name(strings.Join(waits, "; "))
	}
	return text
}
