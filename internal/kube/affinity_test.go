package kube

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
)

// apart asks for pods on other nodes than those of stable.
func apart(ro *v1alpha1.Rollout) {
	ro.Spec.Strategy.Canary.AntiAffinity = &v1alpha1.AntiAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: &v1alpha1.RequiredDuringSchedulingIgnoredDuringExecution{}}
}

func rather(weight int32) func(*v1alpha1.Rollout) {
	return func(ro *v1alpha1.Rollout) {
		ro.Spec.Strategy.Canary.AntiAffinity = &v1alpha1.AntiAffinity{
			PreferredDuringSchedulingIgnoredDuringExecution: &v1alpha1.PreferredDuringSchedulingIgnoredDuringExecution{Weight: weight}}
	}
}

// Covers: defect 35.
func TestInjectedAntiAffinityGoesStale(t *testing.T) {
	hash := v1alpha1.PodTemplateHash(&webRollout().Spec.Template, nil)
	for name, c := range map[string]struct {
		spec     func(*v1alpha1.Rollout)
		stable   string
		injected func(*v1alpha1.Rollout)
		against  string
		stale    bool
		mended   string
	}{
		"what stands is what is asked for":              {apart, "old", apart, "old", false, "old"},
		"another revision has become stable":            {apart, "newer", apart, "old", true, "newer"},
		"the revision itself has become stable":         {apart, hash, apart, "old", true, ""},
		"the section has left the spec":                 {func(*v1alpha1.Rollout) {}, "old", apart, "old", true, ""},
		"the section has come into the spec":            {apart, "old", nil, "", true, "old"},
		"it is to be preferred now, no longer required": {rather(5), "old", apart, "old", true, "old"},
		"the weight was changed":                        {rather(5), "old", rather(6), "old", true, "old"},
		"the first revision keeps away from nobody":     {apart, "", nil, "", false, ""},
		"nothing is asked for and nothing is there":     {func(*v1alpha1.Rollout) {}, "old", nil, "", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			user := func(ro *v1alpha1.Rollout) { ro.Spec.Template.Spec.Affinity = bareTerm() }
			w := newWorld(t, webRollout(c.spec, user), service("web-stable"), service("web-canary"), virtualService())
			w.say(func(ro *v1alpha1.Rollout) { ro.Status.StableRS = c.stable })
			w.create(owned(t, hash, func(rs *appsv1.ReplicaSet) {
				rs.Spec.Template.Spec.Affinity = bareTerm()
				if c.injected != nil {
					injectAffinity(&rs.Spec.Template.Spec, wantedAway(webRollout(c.injected), c.against))
				}
			}))
			r := w.observe().Snapshot.Revisions[0]
			if !r.Current || r.Against != c.against || r.AffinityStale != c.stale {
				t.Fatalf("against %q, stale %v", r.Against, r.AffinityStale)
			}
			w.must(rollout.SetAffinity{Hash: hash, Against: c.mended})
			r = w.observe().Snapshot.Revisions[0]
			if r.Against != c.mended || r.AffinityStale {
				t.Errorf("after the mend: against %q, stale %v", r.Against, r.AffinityStale)
			}
			spec := w.set("web-" + hash).Spec.Template.Spec.DeepCopy()
			if stripAffinity(spec); !equality.Semantic.DeepEqual(bareTerm(), spec.Affinity) {
				t.Errorf("the user's own term is now %v", spec.Affinity)
			}
			if d := cmp.Diff([]corev1.Container{{Name: "web", Image: "one"}}, spec.Containers); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestAnotherRevisionsTermIsLeftAlone(t *testing.T) {
	w := shop(t, apart)
	w.say(func(ro *v1alpha1.Rollout) { ro.Status.StableRS = "stable" })
	w.create(owned(t, "former", func(rs *appsv1.ReplicaSet) {
		rs.Spec.Template.Spec.Containers[0].Image = "nought"
		injectAffinity(&rs.Spec.Template.Spec, wantedAway(webRollout(apart), "gone"))
	}))
	if r := w.observe().Snapshot.Revisions[0]; r.Current || r.AffinityStale || r.Against != "gone" {
		t.Errorf("%+v", r)
	}
}

func TestATermThatWasCopiedIntoTheTemplateIsReplaced(t *testing.T) {
	leaked := func(ro *v1alpha1.Rollout) {
		injectAffinity(&ro.Spec.Template.Spec, wantedAway(webRollout(apart), "long gone"))
		ro.Status.StableRS = "old"
	}
	rs, err := newSet(webRollout(apart, leaked), rollout.EnsureRevision{Hash: "abc", Number: 1})
	if err != nil {
		t.Fatal(err)
	}
	if k := keptAway(&rs.Spec.Template.Spec); k.hash() != "old" || len(k.required) != 1 {
		t.Errorf("keeps away from %q with %d terms", k.hash(), len(k.required))
	}
}
