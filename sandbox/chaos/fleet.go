package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/sandbox/cluster"
)

const (
	namespace = "chaos"
	firstTag  = "v0"
	// badShare is how many of the fallible releases are condemned.
	badShare = 0.4
	// change is how many releases are overtaken by another version, back how many by the
	// version before them.
	change, back = 0.2, 0.1
	// hesitation bounds how long somebody waits before the next edit.
	hesitation = 4 * time.Second
	// endLimit is how long a release may take, with the controller dead half of the time.
	endLimit = 4 * time.Minute
	poll     = 500 * time.Millisecond
)

// fleet is all Rollouts.
type fleet struct {
	cluster *cluster.Cluster
	judge   *judge
	members []*member
	say     func(format string, args ...any)
}

// member is one Rollout.
type member struct {
	kind
	fleet      *fleet
	name, host string
	random     *rand.Rand
	tag        string // of the image that users must see when nothing is going on
}

func newFleet(c *cluster.Cluster, kinds []kind, o Options) *fleet {
	f := &fleet{cluster: c, judge: newJudge(), say: o.Say}
	for i := range o.Rollouts {
		k := kinds[i%len(kinds)]
		name := fmt.Sprintf("%s-%d", k.name, i/len(kinds))
		f.members = append(f.members, &member{
			kind: k, fleet: f, name: name, host: strings.ReplaceAll(k.host, "$N", name),
			random: rand.New(rand.NewPCG(o.Seed, uint64(i)+1)), tag: firstTag,
		})
	}
	return f
}

// create makes every Rollout, and returns when all are Healthy.
func (f *fleet) create(ctx context.Context) error {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if err := f.cluster.Client().Create(ctx, ns); client.IgnoreAlreadyExists(err) != nil {
		return err
	}
	manifests := []string{f.judge.template()}
	for i, m := range f.members {
		manifests = append(manifests, m.manifests(m.name, []int{6, 1}[i%2]))
	}
	objects, err := cluster.Decode([]byte(strings.Join(manifests, "\n---")))
	if err != nil {
		return err
	}
	if err := f.cluster.Apply(ctx, namespace, objects...); err != nil {
		return err
	}
	for _, m := range f.members {
		if err := m.await(ctx, end{tag: firstTag}); err != nil {
			return err
		}
	}
	return nil
}

// run releases every Rollout again and again until it is over, and at least once. A Rollout
// that does not end where it must is left as it is.
func (f *fleet) run(ctx context.Context, over <-chan struct{}, r *Result) {
	var running sync.WaitGroup
	var mu sync.Mutex
	for _, m := range f.members {
		running.Go(func() {
			for n, going := 1, true; going; n++ {
				want, err := m.once(ctx, n)
				mu.Lock()
				r.count(want, err)
				mu.Unlock()
				select {
				case <-over:
					going = false
				default:
					going = err == nil
				}
			}
		})
	}
	running.Wait()
}

// once makes a release and follows it to its end.
func (m *member) once(ctx context.Context, n int) (want end, err error) {
	if want, err = m.release(ctx, n); err == nil {
		err = m.await(ctx, want)
	}
	if err == nil {
		err = m.serves(ctx)
	}
	if err != nil {
		err = fmt.Errorf("%s, release %d: %w", m.name, n, err)
		m.fleet.say("%v", err)
		return want, err
	}
	m.fleet.say("%s: ended on %s, aborted %t", m.name, want.tag, want.aborted)
	return want, nil
}

// release edits the image once or twice, and returns where that must end.
func (m *member) release(ctx context.Context, n int) (want end, err error) {
	tag := fmt.Sprintf("r%da", n)
	bad := m.fallible && m.random.Float64() < badShare
	overtaken, delay, gap := m.random.Float64(), m.hesitate(), m.hesitate()
	m.fleet.judge.sentence(m.name, bad)
	want = end{tag: tag, aborted: bad}
	if err := m.edit(ctx, delay, tag); err != nil {
		return want, err
	}
	switch {
	case overtaken < back:
		want = end{tag: m.tag}
		err = m.edit(ctx, gap, m.tag)
	case overtaken < back+change:
		want.tag = fmt.Sprintf("r%db", n)
		err = m.edit(ctx, gap, want.tag)
	}
	if want.aborted {
		want.tag = m.tag
	}
	m.tag = want.tag
	return want, err
}

func (m *member) hesitate() time.Duration { return time.Duration(m.random.Int64N(int64(hesitation))) }

// edit changes the image after a while.
func (m *member) edit(ctx context.Context, after time.Duration, tag string) error {
	timer := time.NewTimer(after)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
	}
	m.fleet.say("%s: image %s", m.name, tag)
	body := fmt.Sprintf(`[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":%q}]`, image(tag))
	r := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: m.name}}
	return m.fleet.cluster.Client().Patch(ctx, r, client.RawPatch(types.JSONPatchType, []byte(body)))
}

func image(tag string) string { return "penstock/demo:" + tag }
