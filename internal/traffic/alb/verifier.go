package alb

import (
	"cmp"
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-io/penstock/internal/traffic"
	"github.com/penstock-io/penstock/internal/traffic/objects"
)

const (
	defaultInterval = 10 * time.Second
	defaultTag      = "ingress.k8s.aws/resource"
	// askLimit bounds the requests of one question, longestWait the wait after errors.
	askLimit, longestWait = 30 * time.Second, 2 * time.Minute
	// asking is how many questions are under way at a time.
	asking = 4
	// idle is how long a question is pursued that nobody has put again.
	idle = time.Hour
	// unproven is the settle time of a split that AWS has to confirm: none is enough.
	unproven = 10 * 365 * 24 * time.Hour
)

// VerifierOptions are the settings of a Verifier.
type VerifierOptions struct {
	// Config finds region and credentials of AWS. It is called until it gives some, may
	// block, and honours ctx.
	Config func(context.Context) (aws.Config, error)
	// Tag is the key of the tag that names a target group's Service; default
	// ingress.k8s.aws/resource.
	Tag string
	// Interval is the time between two tries of a question that is not answered by yes;
	// default 10 s. After errors it doubles, up to 2 min.
	Interval time.Duration
	// Rest is how long a question waits before it is asked, default 2 s: the load balancer's
	// controller needs as long to do anything, and an answer from before that might be about
	// a write that is overtaken by one on its way. Header routes are not asked about, so it is
	// their settle time too.
	Rest time.Duration
}

// Verifier asks AWS questions in the background, a bounded number at a time, until the
// answer is yes. Whoever puts one gets at once what is known; nothing here ever blocks.
type Verifier struct {
	// Wake asks for a pass of a Rollout, because an answer about it has changed.
	Wake func(context.Context, types.NamespacedName)

	options VerifierOptions
	cloud   *cloud
	ctx     context.Context
	stop    context.CancelFunc
	slots   chan struct{}
	mu      sync.Mutex
	pursued map[subject]*pursuit
	work    sync.WaitGroup
}

// subject is what a question is about: the weights of a Rollout, or its targets.
type subject struct {
	rollout types.NamespacedName
	about   string
}

// pursuit is one question that is asked until it is answered by yes.
type pursuit struct {
	id     string
	ask    func(context.Context) (traffic.Proof, error)
	proof  traffic.Proof
	put    time.Time
	cancel context.CancelFunc
}

// NewVerifier makes a Verifier. Nothing runs before the first question; Close ends it.
func NewVerifier(o VerifierOptions) *Verifier {
	o.Tag, o.Interval = cmp.Or(o.Tag, defaultTag), cmp.Or(o.Interval, defaultInterval)
	o.Rest = cmp.Or(o.Rest, objects.DefaultSettle)
	v := &Verifier{options: o, cloud: newCloud(o.Config), slots: make(chan struct{}, asking),
		pursued: map[subject]*pursuit{}, Wake: func(context.Context, types.NamespacedName) {}}
	v.ctx, v.stop = context.WithCancel(context.Background())
	return v
}

// Close cancels what is under way and waits for it.
func (v *Verifier) Close() {
	v.mu.Lock()
	v.stop()
	v.mu.Unlock()
	v.work.Wait()
}

// weights says what is known of the weights of a Rollout's load balancers.
func (v *Verifier) weights(rollout types.NamespacedName, q question) traffic.Proof {
	return v.put(subject{rollout, "weights"}, identity(q), func(ctx context.Context) (traffic.Proof, error) {
		return q.answer(ctx, v.cloud, v.options.Tag)
	})
}

// Targets says whether target groups are known to serve the endpoints of a Rollout's Service.
// An empty list ends the questions about them.
func (v *Verifier) Targets(rollout types.NamespacedName, list []traffic.TargetGroup) traffic.Proof {
	about := subject{rollout, "targets"}
	if len(list) == 0 {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.drop(about)
		return traffic.Proof{Holds: true}
	}
	return v.put(about, identity(list), func(ctx context.Context) (traffic.Proof, error) {
		return answerTargets(ctx, v.cloud, list)
	})
}

// Forget ends all questions about a Rollout.
func (v *Verifier) Forget(rollout types.NamespacedName) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for s := range v.pursued {
		if s.rollout == rollout {
			v.drop(s)
		}
	}
}

func (v *Verifier) drop(s subject) {
	if p := v.pursued[s]; p != nil {
		p.cancel()
		delete(v.pursued, s)
	}
}

// Interval is the time between two tries.
func (v *Verifier) Interval() time.Duration { return v.options.Interval }

func identity(question any) string {
	text, _ := json.Marshal(question) //nolint:errchkjson // values have a form
	return string(text)
}

// put pursues a question, unless it is pursued already, and returns what is known of it.
// What was known of another one about the same subject counts no more, but for the names of
// load balancers.
func (v *Verifier) put(s subject, id string, ask func(context.Context) (traffic.Proof, error)) traffic.Proof {
	v.mu.Lock()
	defer v.mu.Unlock()
	p := v.pursued[s]
	if p == nil || p.id != id {
		next := &pursuit{id: id, ask: ask}
		if p != nil {
			p.cancel()
			next.proof.ALBs = p.proof.ALBs
		}
		v.sweep()
		var ctx context.Context
		ctx, next.cancel = context.WithCancel(v.ctx)
		v.pursued[s], p = next, next
		if ctx.Err() == nil {
			v.work.Go(func() { v.pursue(ctx, s, next) })
		}
	}
	p.put = time.Now()
	out := p.proof
	out.ALBs, out.Notes = slices.Clone(out.ALBs), slices.Clone(out.Notes)
	return out
}

// sweep drops what nobody asks for any more.
func (v *Verifier) sweep() {
	for s, p := range v.pursued {
		if time.Since(p.put) > idle {
			v.drop(s)
		}
	}
}

// pursue asks until the answer is yes, or nobody wants to know.
func (v *Verifier) pursue(ctx context.Context, s subject, p *pursuit) {
	wait, failures := v.options.Rest, 0
	for {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		proof, err := v.turn(ctx, p)
		if ctx.Err() != nil {
			return
		}
		wait = v.options.Interval
		if failures++; err == nil {
			failures = 0
		}
		for range failures - 1 {
			wait = max(min(2*wait, longestWait), v.options.Interval)
		}
		changed, wanted := v.learn(p, proof, err)
		if changed {
			v.Wake(ctx, s.rollout)
		}
		if err == nil && proof.Holds || !wanted {
			return
		}
	}
}

// turn asks once, when it is its turn.
func (v *Verifier) turn(ctx context.Context, p *pursuit) (traffic.Proof, error) {
	select {
	case v.slots <- struct{}{}:
		defer func() { <-v.slots }()
	case <-ctx.Done():
		return traffic.Proof{}, ctx.Err() //nolint:wrapcheck // nobody reads it
	}
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	return p.ask(ctx)
}

// learn keeps an answer. An error takes nothing away that was known of the load balancers.
func (v *Verifier) learn(p *pursuit, proof traffic.Proof, err error) (changed, wanted bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err != nil {
		proof = traffic.Proof{ALBs: proof.ALBs, Notes: []traffic.Note{{Warning: true, Reason: reasonError, Message: err.Error()}}}
	}
	if len(proof.ALBs) == 0 && !proof.Holds {
		proof.ALBs = p.proof.ALBs
	}
	changed = !reflect.DeepEqual(p.proof, proof)
	p.proof = proof
	return changed, time.Since(p.put) <= idle
}
