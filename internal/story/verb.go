package story

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/sim"
)

// act is one line of a script, ready to be played.
type act func(*player) error

// defaultLimit bounds an until without "within".
const defaultLimit = 2 * time.Hour

// compile turns a line into what it does; an error says how the verb is written.
func compile(l Line) (act, error) {
	verb, args := l.Words[0], l.Words[1:]
	if plain, ok := plainVerbs[strings.Join(l.Words, " ")]; ok {
		return func(p *player) error { plain(p.world); return nil }, nil
	}
	parse, ok := verbs[verb]
	if !ok {
		return nil, fmt.Errorf("there is no verb %q", verb)
	}
	return parse(args)
}

// plainVerbs are those without arguments that only touch the world.
var plainVerbs = map[string]func(*sim.World){
	"promote":      (*sim.World).Promote,
	"promote full": (*sim.World).PromoteFull,
	"abort":        (*sim.World).Abort,
	"retry":        (*sim.World).Retry,
	"pause":        func(w *sim.World) { w.SetPaused(true) },
	"unpause":      func(w *sim.World) { w.SetPaused(false) },
	"restart":      (*sim.World).Restart,
	"restart pods": (*sim.World).RestartPods,
	"verifies":     func(w *sim.World) { w.Verifies = true },
	"mend route":   func(w *sim.World) { w.Break("") },
}

var verbs = map[string]func(args []string) (act, error){
	"deployed":  deployed,
	"image":     setImage,
	"apply":     apply,
	"replicas":  replicas,
	"metric":    setMetric,
	"ready":     ready,
	"kill":      kill,
	"lag":       lag,
	"drift":     drift,
	"break":     breakRoute,
	"delete":    one("delete v2", (*sim.World).DeleteRevision),
	"terminate": one("terminate RUN", (*sim.World).Terminate),
	"point":     point,
	"wait":      wait,
	"until":     until,
	"expect":    expect,
}

func usage(text string) error { return errors.New("write: " + text) }

func deployed(args []string) (act, error) {
	if len(args) != 0 {
		return nil, usage("deployed")
	}
	return func(p *player) error {
		p.silent = true
		if !p.world.Until(30*time.Minute, (*sim.World).AtRest) {
			return fmt.Errorf("the first version did not come up: %s", p.where())
		}
		minute := p.elapsed().Truncate(time.Minute) + time.Minute
		p.world.Wait(minute - p.elapsed())
		p.silent = false
		p.line("deployed")
		p.tick()
		return nil
	}, nil
}

// one is a verb with one word that names something there must be.
func one(written string, do func(*sim.World, string) error) func([]string) (act, error) {
	return func(args []string) (act, error) {
		if len(args) != 1 {
			return nil, usage(written)
		}
		return func(p *player) error { return do(p.world, args[0]) }, nil
	}
}

func point(args []string) (act, error) {
	if len(args) != 2 {
		return nil, usage("point SERVICE v1")
	}
	return func(p *player) error { return p.world.Point(args[0], args[1]) }, nil
}

func setImage(args []string) (act, error) {
	if len(args) != 1 {
		return nil, usage("image v2")
	}
	return func(p *player) error {
		image := p.world.Rollout.Spec.Template.Spec.Containers[0].Image
		if colon := strings.LastIndexByte(image, ':'); colon > strings.LastIndexByte(image, '/') {
			image = image[:colon]
		}
		p.world.SetImage(image + ":" + args[0])
		return nil
	}, nil
}

func apply(args []string) (act, error) {
	if len(args) != 1 {
		return nil, usage("apply FILE.yaml")
	}
	return func(p *player) error {
		r, err := p.story.rolloutIn(args[0])
		if err != nil {
			return err
		}
		p.world.Change("apply "+args[0], func(s *v1alpha1.RolloutSpec) { *s = r.Spec })
		return nil
	}, nil
}

func replicas(args []string) (act, error) {
	n, err := number(args, 0)
	if err != nil || len(args) != 1 {
		return nil, usage("replicas 8")
	}
	return func(p *player) error { p.world.SetReplicas(n); return nil }, nil
}

func ready(args []string) (act, error) {
	if len(args) != 2 {
		return nil, usage("ready v2 20s, or: ready v2 never")
	}
	after, err := span(args[1])
	if args[1] == "never" {
		after, err = -1, nil
	}
	if err != nil {
		return nil, err
	}
	return func(p *player) error { p.world.Ready(args[0], after); return nil }, nil
}

func kill(args []string) (act, error) {
	n, err := number(args, 1)
	if err != nil || len(args) != 2 {
		return nil, usage("kill v2 1")
	}
	return func(p *player) error {
		if available, _ := p.world.Pods(args[0]); available < n {
			return fmt.Errorf("only %d pods of %s are available", available, args[0])
		}
		p.world.Kill(args[0], int(n))
		return nil
	}, nil
}

func lag(args []string) (act, error) {
	if len(args) != 1 && (len(args) != 3 || args[1] != "settle") {
		return nil, usage("lag 5s [settle 10s]")
	}
	late, err := span(args[0])
	if err != nil {
		return nil, err
	}
	settle := late + time.Second
	if len(args) == 3 {
		if settle, err = span(args[2]); err != nil {
			return nil, err
		}
	}
	if settle <= late {
		return nil, errors.New("a router that believes less than the truth breaks every promise: settle is longer than lag")
	}
	return func(p *player) error {
		p.world.Lag, p.world.Settle = late, settle
		p.line(fmt.Sprintf("the data plane is %s late, the router believes %s", late, settle))
		return nil
	}, nil
}

func drift(args []string) (act, error) {
	n, err := number(args, 0)
	if err != nil || len(args) != 1 {
		return nil, usage("drift 0")
	}
	return func(p *player) error { p.world.Drift(n); return nil }, nil
}

func breakRoute(args []string) (act, error) {
	if len(args) != 2 || args[0] != "route" {
		return nil, usage(`break route "why"`)
	}
	return func(p *player) error { p.world.Break(args[1]); return nil }, nil
}

func wait(args []string) (act, error) {
	if len(args) != 1 {
		return nil, usage("wait 10m")
	}
	d, err := span(args[0])
	if err != nil {
		return nil, err
	}
	return func(p *player) error { p.world.Wait(d); return nil }, nil
}

func until(args []string) (act, error) {
	limit := defaultLimit
	if n := len(args); n > 2 && args[n-2] == "within" {
		var err error
		if limit, err = span(args[n-1]); err != nil {
			return nil, err
		}
		args = args[:n-2]
	}
	c, err := parseCondition(args)
	if err != nil {
		return nil, err
	}
	return func(p *player) error {
		if !p.world.Until(limit, func(*sim.World) bool { return c(p) == "" }) {
			return fmt.Errorf("not within %s: %s; %s", limit, c(p), p.where())
		}
		return nil
	}, nil
}

func expect(args []string) (act, error) {
	c, err := parseCondition(args)
	if err != nil {
		return nil, err
	}
	return func(p *player) error {
		p.world.Instant()
		if got := c(p); got != "" {
			return fmt.Errorf("%s; %s", got, p.where())
		}
		return nil
	}, nil
}

// longest bounds every span of time in a script.
const longest = 31 * 24 * time.Hour

// span reads a duration from 0 to longest.
func span(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err == nil && (d < 0 || d > longest) {
		err = fmt.Errorf("%s is not between 0 and %s", text, longest)
	}
	return d, err
}

func number(args []string, i int) (int32, error) {
	if i >= len(args) {
		return 0, errors.New("a number is missing")
	}
	n, err := strconv.ParseInt(args[i], 10, 32)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q is not a number of 0 or more", args[i])
	}
	return int32(n), nil
}
