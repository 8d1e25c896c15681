package rollout_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
)

// role is ephemeral metadata of one label.
func role(text string) *v1alpha1.PodTemplateMetadata {
	return &v1alpha1.PodTemplateMetadata{Labels: map[string]string{"role": text}}
}

// carries says what is injected into a revision.
func carries(hash, text string) mod {
	return of(hash, func(r *rollout.Revision) { r.Metadata = *role(text) })
}

// TestWhoCarriesWhichMetadata: core.md §3.7. The label that each revision gets in this
// pass, "" for taking all away.
//
// Covers: edge 132.
func TestWhoCarriesWhichMetadata(t *testing.T) {
	both := canary(func(c *v1alpha1.CanaryStrategy) { c.CanaryMetadata, c.StableMetadata = role("canary"), role("stable") })
	edited := canary(func(c *v1alpha1.CanaryStrategy) {
		c.CanaryMetadata, c.StableMetadata = role("new-canary"), role("new-stable")
	})
	none := canary(func(c *v1alpha1.CanaryStrategy) { c.CanaryMetadata, c.StableMetadata = nil, nil })
	first := func(s *snapshot) { s.Status.StableRS = "" }
	promoted := func(s *snapshot) { s.Status.StableRS = "v2"; at(2)(s) }
	for name, c := range map[string]struct {
		mods []mod
		want map[string]string
	}{
		"the first revision is stable":              {[]mod{both, first}, map[string]string{"v1": "stable"}},
		"a new one is the canary":                   {[]mod{both, carries("v1", "stable"), updating(1, 1)}, map[string]string{"v2": "canary"}},
		"what is there stays":                       {[]mod{both, carries("v1", "stable"), updating(1, 1), carries("v2", "canary")}, map[string]string{}},
		"other words mid-update":                    {[]mod{both, carries("v1", "stable"), updating(1, 1), carries("v2", "canary"), edited}, map[string]string{"v1": "new-stable", "v2": "new-canary"}},
		"after the promotion":                       {[]mod{routed(0, "v1"), both, carries("v1", "stable"), updating(4, 4), carries("v2", "canary"), promoted}, map[string]string{"v1": "", "v2": "stable"}},
		"other words at rest":                       {[]mod{both, carries("v1", "stable"), edited}, map[string]string{"v1": "new-stable"}},
		"no words any more":                         {[]mod{both, carries("v1", "stable"), updating(1, 1), carries("v2", "canary"), none}, map[string]string{"v1": "", "v2": ""}},
		"an old revision has none":                  {[]mod{routed(0, "v1"), both, carries("v1", "stable"), old("v0", 0, 4, 4), carries("v0", "stable")}, map[string]string{"v0": ""}},
		"a pod that does not carry it is looked up": {[]mod{both, carries("v1", "stable"), of("v1", func(r *rollout.Revision) { r.MetadataStale = true })}, map[string]string{"v1": "stable"}}, // Covers: edge 134.
		"blue-green has its own names": {[]mod{blue("v1", "v2", func(b *v1alpha1.BlueGreenStrategy) {
			b.PreviewMetadata, b.ActiveMetadata = role("preview"), role("active")
		}),
			updating(4, 4)}, map[string]string{"v1": "active", "v2": "preview"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := map[string]string{}
			for _, a := range rollout.Decide(given(c.mods...)).Actions {
				if m, ok := a.(rollout.SetMetadata); ok {
					got[m.Hash] = m.Metadata.Labels["role"]
				}
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestWhoKeepsAwayFromWhom: core.md §3.8. What the term of each revision becomes in this
// pass, "" for taking it out.
//
// Covers: defect 35.
func TestWhoKeepsAwayFromWhom(t *testing.T) {
	apart := canary(func(c *v1alpha1.CanaryStrategy) {
		c.AntiAffinity = &v1alpha1.AntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &v1alpha1.RequiredDuringSchedulingIgnoredDuringExecution{}}
	})
	away := func(hash, from string) mod { return of(hash, func(r *rollout.Revision) { r.Against = from }) }
	promoted := func(s *snapshot) { s.Status.StableRS = "v2"; at(2)(s) }
	for name, c := range map[string]struct {
		mods []mod
		want map[string]string
	}{
		"the first revision from nobody":  {[]mod{apart}, map[string]string{}},
		"a new one from stable":           {[]mod{apart, updating(1, 1)}, map[string]string{"v2": "v1"}},
		"it stays so":                     {[]mod{apart, updating(1, 1), away("v2", "v1")}, map[string]string{}},
		"not from a former stable":        {[]mod{apart, updating(1, 1), away("v2", "v0")}, map[string]string{"v2": "v1"}},
		"in the form that the spec asks":  {[]mod{apart, updating(1, 1), away("v2", "v1"), of("v2", func(r *rollout.Revision) { r.AffinityStale = true })}, map[string]string{"v2": "v1"}},
		"after the promotion from nobody": {[]mod{routed(0, "v1"), apart, updating(4, 4), away("v2", "v1"), promoted}, map[string]string{"v2": ""}},
		"nor when nobody asks any more":   {[]mod{updating(1, 1), away("v2", "v1")}, map[string]string{"v2": ""}},
	} {
		t.Run(name, func(t *testing.T) {
			got := map[string]string{}
			for _, a := range rollout.Decide(given(c.mods...)).Actions {
				if x, ok := a.(rollout.SetAffinity); ok {
					got[x.Hash] = x.Against
				}
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}
