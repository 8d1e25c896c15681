package rollout

import (
	"maps"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// metadata keeps the ephemeral labels and annotations of each role on its revision and
// its live pods (core.md §3.7). A role that no longer has any gets them removed, also
// when the whole section left the spec (§16 no. 14).
func metadata(v *view) (acts []Action) {
	if v.mode == changed {
		return nil
	}
	for i := range v.Revisions {
		r := &v.Revisions[i]
		var want v1alpha1.PodTemplateMetadata
		switch {
		case r == v.stable || r == v.current && v.mode == first:
			want = deref(v.rules.settled)
		case r == v.current:
			want = deref(v.rules.fresh)
		}
		if r.Deleting || sameMetadata(want, r.Metadata) && !r.MetadataStale {
			continue
		}
		acts = append(acts, SetMetadata{Hash: r.Hash, Metadata: want})
	}
	return acts
}

func sameMetadata(a, b v1alpha1.PodTemplateMetadata) bool {
	return maps.Equal(a.Labels, b.Labels) && maps.Equal(a.Annotations, b.Annotations)
}

func deref(m *v1alpha1.PodTemplateMetadata) v1alpha1.PodTemplateMetadata {
	if m == nil {
		return v1alpha1.PodTemplateMetadata{}
	}
	return *m
}

// affinities keeps the injected anti-affinity of each revision as the spec asks for it: the
// new one keeps away from stable, and nobody from anybody after the promotion (§16 no. 35).
func affinities(v *view) (acts []Action) {
	if v.mode == changed {
		return nil
	}
	for i := range v.Revisions {
		r := &v.Revisions[i]
		want := ""
		if v.rules.affinity != nil && r == v.current && v.stable != nil && r != v.stable {
			want = v.stable.Hash
		}
		if !r.Deleting && (r.Against != want || want != "" && r.AffinityStale) {
			acts = append(acts, SetAffinity{Hash: r.Hash, Against: want})
		}
	}
	return acts
}
