package traffic

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// whole has 60 for stable, 30 for the canary and 10 for an experiment.
func whole() Split {
	s := Two(DefaultTotal, 30, Destination{Service: "stable", Hash: "s"}, Destination{Service: "canary", Hash: "c"})
	s.Destinations[0].Weight = 60
	s.Destinations = append(s.Destinations, Destination{Role: Extra, Service: "exp", Hash: "e", Weight: 10})
	s.Headers = []v1alpha1.SetHeaderRoute{header("hdr", "1")}
	s.Mirrors = []v1alpha1.SetMirrorRoute{mirror("m", of(3), "GET")}
	return s
}

var abilities = []Carries{{}, {Extras: true}, {Headers: true}, {Mirrors: true}, {Extras: true, Headers: true}, Everything}

// Covers: traffic defect 39.
func TestARouterGetsWhatItCanCarry(t *testing.T) {
	for _, c := range abilities {
		got := whole().For(c)
		var sum int32
		for _, d := range got.Destinations {
			sum += d.Weight
		}
		if sum != DefaultTotal || got.Weight(Canary) != 30 {
			t.Errorf("%+v: %s", c, got)
		}
		if len(got.Extras()) > 0 != c.Extras || len(got.Headers) > 0 != c.Headers || len(got.Mirrors) > 0 != c.Mirrors {
			t.Errorf("%+v: %s", c, got)
		}
	}
	if d := cmp.Diff(whole(), whole().For(Everything)); d != "" {
		t.Error(d)
	}
}

func TestRoutersThatFollowOneSplitAgree(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		want := whole()
		var looks []Look
		var all Carries
		for range 2 + r.IntN(3) {
			c := abilities[r.IntN(len(abilities))]
			all = Carries{all.Extras || c.Extras, all.Headers || c.Headers, all.Mirrors || c.Mirrors}
			looks = append(looks, Look{c, want.For(c)})
		}
		got, apart := Join(looks...)
		if d := cmp.Diff(want.For(all), got); d != "" || apart != nil {
			t.Fatalf("%v: %s, apart %v", looks, d, apart)
		}
	}
	if got, apart := Join(); !got.IsZero() || apart != nil {
		t.Errorf("nobody asks for %s, %v", got, apart)
	}
}

// What differs in one of them only must never read as a split that somebody wants.
func TestRoutersThatDifferAreReadAsTheWidest(t *testing.T) {
	other := func(change func(*Split)) Split {
		s := whole()
		s.Destinations = append([]Destination(nil), s.Destinations...)
		change(&s)
		return s
	}
	for sentence, s := range map[string]Split{
		"another weight":    other(func(s *Split) { s.Destinations[0].Weight, s.Destinations[1].Weight = 0, 90 }),
		"another revision":  other(func(s *Split) { s.Destinations[1].Hash = "x" }),
		"another total":     other(func(s *Split) { s.Total = 1000 }),
		"no header route":   other(func(s *Split) { s.Headers = nil }),
		"another extra":     other(func(s *Split) { s.Destinations[2].Service = "exp2" }),
		"a broken mirror":   other(func(s *Split) { s.Mirrors[0].Match = nil }),
		"nothing but hosts": {Total: DefaultTotal, Destinations: []Destination{{Role: Stable, Service: "stable", Hash: "s", Weight: 100}}},
	} {
		t.Run(sentence, func(t *testing.T) {
			for _, looks := range [][]Look{{{Everything, whole()}, {Everything, s}}, {{Everything, s}, {Everything, whole()}}} {
				got, apart := Join(looks...)
				if len(apart) != 2 {
					t.Fatalf("apart %v", apart)
				}
				for _, a := range apart {
					if got.Equal(a) {
						t.Errorf("reads as %s", got)
					}
					for _, d := range a.Destinations {
						if d.Role != Extra && got.Weight(d.Role) < d.Weight {
							t.Errorf("%s gets %d in %s, joined %d", d.Role, d.Weight, a, got.Weight(d.Role))
						}
					}
				}
				if x := got.Extras(); x[len(x)-1] != (Destination{Role: Extra}) {
					t.Errorf("%s could be wanted", got)
				}
			}
		})
	}
}
