package kube

import (
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/loop"
)

func TestPodsOfAnExperimentStayWhileTheRolloutListsThem(t *testing.T) {
	ro := webRollout()
	l := newLab(t, ro, anExperiment(withServiceNamed("exp-svc"), ownedByRollout))
	l.run(6)
	hash := l.set("exp-a").Labels[hashLabel]
	for name, c := range map[string]struct {
		to    v1alpha1.WeightDestination
		stays bool
	}{
		"by hash":             {v1alpha1.WeightDestination{Weight: 10, PodTemplateHash: hash}, true},
		"by service":          {v1alpha1.WeightDestination{Weight: 10, ServiceName: "exp-svc"}, true},
		"at weight 0":         {v1alpha1.WeightDestination{PodTemplateHash: hash, ServiceName: "exp-svc"}, true},
		"somebody else's":     {v1alpha1.WeightDestination{Weight: 10, PodTemplateHash: "other", ServiceName: "other"}, false},
		"an empty entry":      {v1alpha1.WeightDestination{Weight: 10}, false},
		"an entry on nothing": {v1alpha1.WeightDestination{}, false},
	} {
		l.say(listing(c.to))
		s, err := l.experiments.Observe(context.Background(), loop.Key{Namespace: "shop", Name: "exp"}, l.now)
		if err != nil {
			t.Fatal(err)
		}
		if s.Snapshot.Sets[0].Routed {
			t.Errorf("%s: it looks while nothing is to be taken away", name)
		}
		l.change(func(x *v1alpha1.Experiment) { x.Spec.Terminate = true })
		if s, err = l.experiments.Observe(context.Background(), loop.Key{Namespace: "shop", Name: "exp"}, l.now); err != nil {
			t.Fatal(err)
		}
		if got := s.Snapshot.Sets[0].Routed; got != c.stays {
			t.Errorf("%s: routed %v", name, got)
		}
		l.change(func(x *v1alpha1.Experiment) { x.Spec.Terminate = false })
	}
	l.say(listing(v1alpha1.WeightDestination{Weight: 10, PodTemplateHash: hash, ServiceName: "exp-svc"}))
	l.change(func(x *v1alpha1.Experiment) { x.Spec.Terminate = true })
	l.run(2)
	l.now = l.now.Add(time.Hour)
	l.run(3)
	if rs := l.set("exp-a"); *rs.Spec.Replicas != 2 || rs.Annotations[deadlineKey] != "" || l.missing(&corev1.Service{}, "exp-svc") {
		t.Fatalf("pods that get traffic go: %+v %v", rs.Spec, rs.Annotations)
	}
	l.say(listing())
	l.run(2)
	if rs := l.set("exp-a"); *rs.Spec.Replicas != 2 || rs.Annotations[deadlineKey] == "" {
		t.Fatalf("the delay does not count from now: %+v %v", rs.Spec, rs.Annotations)
	}
	l.now = l.now.Add(31 * time.Second)
	l.run(3)
	if *l.set("exp-a").Spec.Replicas != 0 || !l.missing(&corev1.Service{}, "exp-svc") {
		t.Error("it does not end")
	}
}

// stale reads a Rollout as it was.
type stale struct {
	client.Reader
	ro *v1alpha1.Rollout
}

func (s stale) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	if ro, is := o.(*v1alpha1.Rollout); is {
		s.ro.DeepCopyInto(ro)
		return nil
	}
	return s.Reader.Get(ctx, key, o, opts...)
}

func TestTheAPIServerIsAskedBeforePodsGo(t *testing.T) {
	l := newLab(t, webRollout(), anExperiment(ownedByRollout, func(x *v1alpha1.Experiment) { x.Spec.ScaleDownDelaySeconds = ptr(int32(0)) }))
	l.run(6)
	l.experiments.Reader = stale{l.client, l.rollout()}
	l.say(listing(v1alpha1.WeightDestination{Weight: 10, PodTemplateHash: l.set("exp-a").Labels[hashLabel]}))
	l.change(func(x *v1alpha1.Experiment) { x.Spec.Terminate = true })
	l.run(4)
	if *l.set("exp-a").Spec.Replicas != 2 {
		t.Fatal("it believes an old cache")
	}
	l.say(func(ro *v1alpha1.Rollout) { ro.Status.Canary.Weights = nil })
	l.experiments.Live = failing{l.client}
	l.world.refuse = func(string, client.Object) error { return nil } // the failures are meant
	l.run(2)
	if *l.set("exp-a").Spec.Replicas != 2 {
		t.Fatal("not knowing is not a no")
	}
	l.experiments.Live = l.client
	l.run(2)
	if *l.set("exp-a").Spec.Replicas != 0 {
		t.Error("the pods stay")
	}
}

type failing struct{ client.Reader }

func (failing) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return errors.New("no answer")
}

func TestARolloutThatIsGoneKeepsNoPods(t *testing.T) {
	for name, objects := range map[string][]client.Object{
		"there is none":       nil,
		"one of another life": {webRollout(func(ro *v1alpha1.Rollout) { ro.UID = "another" }, listing(v1alpha1.WeightDestination{ServiceName: "exp-svc"}))},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, append(objects, anExperiment(withServiceNamed("exp-svc"), ownedByRollout))...)
			l.run(6)
			l.change(func(x *v1alpha1.Experiment) { x.Spec.Terminate = true })
			l.run(2)
			l.now = l.now.Add(time.Minute)
			l.run(2)
			if *l.set("exp-a").Spec.Replicas != 0 {
				t.Error("its pods stay")
			}
		})
	}
}
