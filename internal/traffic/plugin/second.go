package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-io/penstock/internal/plugin"
	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/plugin/v2/wire"
)

const (
	// lookAgain is when routes are read again although nothing has happened, unless the
	// plugin says when; soonest is the least that it may say.
	lookAgain = 30 * time.Second
	soonest   = time.Second
)

// look reads the routes by a plugin of the second protocol, and asks for the next look.
func (r *Router) look(ctx context.Context, t traffic.Target, name string) (traffic.Observation, error) {
	o, again, err := r.read(ctx, t, name)
	if err == nil {
		r.wake(t, again)
	}
	return o, err
}

// read reads the routes.
func (r *Router) read(ctx context.Context, t traffic.Target, name string) (o traffic.Observation, again time.Duration, err error) {
	of, err := requestOf(t, name)
	if err != nil {
		return o, 0, err
	}
	reply, err := within(ctx, r, name, "Observe", func(ctx context.Context) (*wire.Observation, error) {
		return r.client(name).Observe(ctx, of)
	})
	if err != nil {
		return o, 0, fmt.Errorf("read the routes of %s: %w", t.Key(), err)
	}
	if o, err = r.observed(t, name, reply); err != nil {
		return o, 0, fmt.Errorf("read the routes of %s: plugin %s: %w", t.Key(), name, err)
	}
	again = lookAgain
	if s := plugin.Seconds(reply.GetAgainSeconds()); s > 0 {
		again = max(s, soonest)
	}
	if o.Settle == unproven {
		again = min(again, askAgain)
	}
	return o, again, nil
}

// observed takes what a plugin says of the routes.
func (r *Router) observed(t traffic.Target, name string, reply *wire.Observation) (o traffic.Observation, err error) {
	o = traffic.Observation{Pinned: pinned(t), Confirmed: reply.GetConfirmed(), Settle: r.options.Settle}
	if s := plugin.Seconds(reply.GetSettleSeconds()); s > 0 {
		o.Settle = s
	}
	if reply.GetVerifies() && !o.Confirmed {
		o.Settle = unproven
	}
	if o.Written, err = readSplit(t, reply.GetWritten()); err != nil {
		return traffic.Observation{}, err
	}
	if p := plugin.Line(reply.GetProblem()); p != "" {
		o.Problem = fmt.Sprintf("%s: %s", pathOf(name), p)
	}
	o.Versions = map[string]string{key(name): version(o.Written)}
	return o, nil
}

// write brings the routes to the split, unless they have it. The version is that of what is
// there then, empty where nothing was written.
func (r *Router) write(ctx context.Context, t traffic.Target, s traffic.Split, name string) (string, error) {
	if total := t.Routing.MaxTrafficWeightOrDefault(); s.Total != total {
		return "", fmt.Errorf("route %s: the weights add up to %d, not to %d", t.Key(), s.Total, total)
	}
	o, _, err := r.read(ctx, t, name)
	if err != nil {
		return "", err
	}
	want := plain(s, pinned(t))
	if o.Problem == "" && o.Written.Equal(want) {
		return "", nil
	}
	if err := r.send(ctx, t, s, name); err != nil {
		return "", err
	}
	return version(want), nil
}

// clear takes away what plugins have written.
func (r *Router) clear(ctx context.Context, t traffic.Target, names []string) error {
	var errs []error
	for _, name := range names {
		errs = append(errs, r.send(ctx, t, traffic.Split{}, name))
	}
	return errors.Join(errs...)
}

// send hands a plugin a split. That somebody else has written in between is a conflict.
func (r *Router) send(ctx context.Context, t traffic.Target, s traffic.Split, name string) error {
	of, err := requestOf(t, name)
	if err != nil {
		return err
	}
	split, err := wireSplit(s)
	if err != nil {
		return err
	}
	_, err = within(ctx, r, name, "Apply", func(ctx context.Context) (*wire.ApplyReply, error) {
		return r.client(name).Apply(ctx, &wire.ApplyRequest{Of: of, Split: split})
	})
	if status.Code(err) == codes.Aborted {
		err = apierrors.NewConflict(schema.GroupResource{Resource: "routes"}, t.Key(), err)
	}
	if err != nil {
		return fmt.Errorf("route %s: %w", t.Key(), err)
	}
	return nil
}

func (r *Router) client(name string) wire.TrafficClient {
	return wire.NewTrafficClient(r.options.Plugins.Conn(name, pathOf(name)))
}

// within makes one call within the bound.
func within[R any](ctx context.Context, r *Router, name, method string, call func(context.Context) (R, error)) (R, error) {
	limited, cancel := context.WithTimeout(ctx, r.options.Timeout)
	defer cancel()
	reply, err := call(limited)
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		err = fmt.Errorf("plugin %s gave no answer to %s within the timeout of %s", name, method, r.options.Timeout)
	}
	return reply, err
}

// wake asks for a pass, unless one that comes no later was asked for already: each pass would
// bring forth another chain of them.
func (r *Router) wake(t traffic.Target, after time.Duration) {
	key, now := types.NamespacedName{Namespace: t.Namespace, Name: t.Name}, r.options.Now()
	r.mu.Lock()
	due, asked := r.woken[key]
	asked = asked && due.After(now) && !due.After(now.Add(after))
	if !asked {
		r.woken[key] = now.Add(after)
	}
	r.mu.Unlock()
	if !asked {
		r.options.Wake(key, after)
	}
}

// pinned: without Services the plugin leads to revisions.
func pinned(t traffic.Target) bool { return t.StableService == "" && t.CanaryService == "" }

func pathOf(name string) string { return fmt.Sprintf("%s[%s]", path, name) }

func requestOf(t traffic.Target, name string) (*wire.TrafficRequest, error) {
	ro := rolloutOf(t)
	rollout, err := plugin.Rollout(&ro)
	if err != nil {
		return nil, err
	}
	return &wire.TrafficRequest{Plugin: name, Config: t.Routing.Plugins[name], Rollout: rollout,
		StableService: t.StableService, CanaryService: t.CanaryService}, nil
}

// version tells one split from another.
func version(s traffic.Split) string {
	raw, err := json.Marshal(s)
	if err != nil {
		return ""
	}
	sum := fnv.New64a()
	sum.Write(raw)
	return strconv.FormatUint(sum.Sum64(), 36)
}
