package story

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/penstock-io/penstock/internal/sim"
)

// answer is what a metric says, for whom and from when.
type answer struct {
	metric string
	// tag is the image tag that it is for, "" for all.
	tag string
	// from is when it begins to hold.
	from  time.Time
	value sim.Reading
}

func setMetric(args []string) (act, error) {
	if len(args) < 2 {
		return nil, usage("metric NAME VALUE [for v3] [after 3m]")
	}
	a := answer{metric: args[0]}
	var rest []string
	var err error
	if a.value, rest, err = parseReading(args[1:]); err != nil {
		return nil, err
	}
	var after time.Duration
	for ; len(rest) >= 2; rest = rest[2:] {
		switch rest[0] {
		case "for":
			a.tag = rest[1]
		case "after":
			if after, err = span(rest[1]); err != nil {
				return nil, err
			}
		default:
			return nil, fmt.Errorf("a value is followed by for or after, not %q", rest[0])
		}
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("%q is incomplete", rest[0])
	}
	return func(p *player) error {
		a.from = p.world.Now.Add(after)
		p.answers = append(p.answers, a)
		p.line("metric " + strings.Join(args, " "))
		return nil
	}, nil
}

func parseReading(args []string) (r sim.Reading, rest []string, err error) {
	switch first := args[0]; first {
	case "nodata":
		return sim.Reading{NoData: true}, args[1:], nil
	case "nan":
		return sim.Reading{Value: math.NaN()}, args[1:], nil
	case "error":
		if len(args) < 2 {
			return r, nil, usage(`metric NAME error "connection refused"`)
		}
		return sim.Reading{Err: args[1]}, args[2:], nil
	default:
		if f, err := strconv.ParseFloat(first, 64); err == nil {
			return sim.Reading{Value: f}, args[1:], nil
		}
		if err := json.Unmarshal([]byte(first), &r.Value); err != nil {
			return r, nil, fmt.Errorf("value %q is neither a number, JSON, nan, nodata nor error: %w", first, err)
		}
		return r, args[1:], nil
	}
}

// measure answers the world's questions: the last answer that fits wins. A metric that
// the script says nothing about makes the story fail, so that none passes by accident.
func (p *player) measure(q sim.Question) sim.Reading {
	p.asked[q.Metric.Name] = q.Metric
	for i := len(p.answers) - 1; i >= 0; i-- {
		a := p.answers[i]
		if a.metric != q.Metric.Name || a.from.After(p.world.Now) || a.tag != "" && !strings.HasSuffix(q.Image, ":"+a.tag) {
			continue
		}
		// Prometheus answers with a list of samples.
		if f, ok := a.value.Value.(float64); ok && q.Metric.Provider.Prometheus != nil {
			return sim.Reading{Value: []float64{f}}
		}
		return a.value
	}
	if p.unanswered == "" {
		p.unanswered = fmt.Sprintf("metric %s was asked for image %s, but the script has no answer", q.Metric.Name, q.Image)
	}
	return sim.Reading{Err: "the story has no answer"}
}
