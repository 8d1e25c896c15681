package story

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// condition tells what is true instead of what it wants; "" when it holds.
type condition func(*player) (instead string)

func parseCondition(words []string) (condition, error) {
	if len(words) == 0 {
		return nil, usage("healthy, paused, phase …, weight 5, pods v2 1/1, …")
	}
	rest := words[1:]
	switch name := words[0]; name {
	case "healthy", "progressing", "paused", "degraded":
		if len(rest) > 0 {
			return nil, usage(name + ", without more words")
		}
		return func(p *player) string {
			return differ("phase", strings.ToLower(string(p.world.Phase())), name)
		}, nil
	case "phase":
		want := strings.Join(rest, " ")
		return func(p *player) string { return differ("phase", p.phase(), want) }, nil
	case "weight", "live":
		return ofNumber(name, rest, func(p *player) int32 {
			if name == "live" {
				return p.world.Live()
			}
			return p.world.Weight()
		})
	case "step":
		return ofNumber(name, rest, func(p *player) int32 {
			if i := p.world.Rollout.Status.CurrentStepIndex; i != nil {
				return *i
			}
			return -1
		})
	case "pods":
		return ofPods(rest)
	case "stable":
		if len(rest) != 1 {
			return nil, usage("stable v1")
		}
		return func(p *player) string { return differ("stable", p.world.Stable(), rest[0]) }, nil
	case "serves":
		if len(rest) != 2 {
			return nil, usage("serves SERVICE v1")
		}
		return func(p *player) string {
			return differ("the revision behind "+rest[0], p.world.Serves(rest[0]), rest[1])
		}, nil
	case "run":
		return ofRun(rest)
	case "asked":
		return ofAsked(rest)
	default:
		return nil, fmt.Errorf("there is no condition %q", name)
	}
}

func differ(what, got, want string) string {
	if got == want {
		return ""
	}
	return fmt.Sprintf("%s is %q, not %q", what, got, want)
}

func ofNumber(name string, rest []string, get func(*player) int32) (condition, error) {
	want, err := number(rest, 0)
	if err != nil || len(rest) != 1 {
		return nil, usage(name + " 5")
	}
	return func(p *player) string { return differ(name, fmt.Sprint(get(p)), fmt.Sprint(want)) }, nil
}

func ofPods(rest []string) (condition, error) {
	if len(rest) != 2 || !strings.Contains(rest[1], "/") {
		return nil, usage("pods v2 1/1")
	}
	return func(p *player) string {
		available, desired := p.world.Pods(rest[0])
		return differ("pods of "+rest[0], fmt.Sprintf("%d/%d", available, desired), rest[1])
	}, nil
}

func ofRun(rest []string) (condition, error) {
	if len(rest) != 2 {
		return nil, usage("run demo-v2-2-1 Failed")
	}
	return func(p *player) string {
		runs := p.world.Runs()
		phase, ok := runs[rest[0]]
		if !ok {
			return fmt.Sprintf("there is no run %s, only %v", rest[0], slices.Sorted(maps.Keys(runs)))
		}
		return differ("run "+rest[0], string(phase), rest[1])
	}, nil
}

func ofAsked(rest []string) (condition, error) {
	if len(rest) < 2 {
		return nil, usage("asked NAME text")
	}
	want := strings.Join(rest[1:], " ")
	return func(p *player) string {
		m, ok := p.asked[rest[0]]
		if !ok {
			return "metric " + rest[0] + " was never asked for"
		}
		text, err := json.Marshal(m.Provider)
		if err != nil {
			return err.Error()
		}
		// Quotes within a query are escaped in JSON; a story is easier to read without.
		got := p.world.Name(strings.ReplaceAll(string(text), `\"`, `"`))
		if strings.Contains(got, want) {
			return ""
		}
		return fmt.Sprintf("metric %s asked %s", rest[0], got)
	}, nil
}
