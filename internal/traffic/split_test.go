package traffic

import (
	"math"
	"testing"
	"testing/quick"

	"github.com/google/go-cmp/cmp"
)

var (
	old   = Destination{Role: Stable, Service: "web-stable", Hash: "old"}
	fresh = Destination{Role: Canary, Service: "web-canary", Hash: "new"}
)

// Covers: outage 16, traffic defect 26.
func TestTwoAlwaysAddsUpToTheTotal(t *testing.T) {
	law := func(total, weight int32) bool {
		total = int32(uint32(total) >> 1) // maxTrafficWeight is never negative
		s := Two(total, weight, old, fresh)
		st, ca := s.Weight(Stable), s.Weight(Canary)
		return st >= 0 && ca >= 0 && int64(st)+int64(ca) == int64(total) && s.On("old") == st && s.On("new") == ca
	}
	if err := quick.Check(law, nil); err != nil {
		t.Fatal(err)
	}
}

func extra(service string, weight int32) Destination {
	return Destination{Role: Extra, Service: service, Weight: weight}
}

func held(stable, canary, x int32) Split {
	s := Two(100, 0, old, fresh)
	s.Destinations[0].Weight, s.Destinations[1].Weight = stable, canary
	s.Destinations = append(s.Destinations, extra("a", x))
	return s.Held()
}

// Covers: edge 72, outage 16.
func TestSplitAnswers(t *testing.T) {
	same := Two(100, 30, old, Destination{Service: "web-canary", Hash: "old"})
	for name, c := range map[string]struct {
		got, want any
	}{
		"a weight above the total is the total":           {Two(100, 130, old, fresh).Weight(Canary), int32(100)}, // Covers: outage 16.
		"a negative weight is none":                       {Two(100, -3, old, fresh).Weight(Canary), int32(0)},    // Covers: outage 16.
		"two roles on one revision add up":                {same.On("old"), int32(100)},
		"an unknown revision gets nothing":                {same.On("new"), int32(0)},
		"a role without destination gets nothing":         {same.Weight(Extra), int32(0)},
		"the zero split prints as none":                   {Split{}.String(), "none"},
		"a split prints revision and weight of each role": {Two(100, 5, old, fresh).String(), "Stable old 95 + Canary new 5"},
		"without a hash the Service is printed":           {Split{Total: 1, Destinations: []Destination{{Role: Stable, Service: "web", Weight: 1}}}.String(), "Stable web 1"},
		"the zero split is zero":                          {Split{}.IsZero(), true},
		"a split of weight nought is not zero":            {Two(100, 0, old, fresh).IsZero(), false},
		"another hash is another split":                   {Two(100, 5, old, fresh).Equal(Two(100, 5, old, old)), false},
		"another total is another split":                  {Two(100, 5, old, fresh).Equal(Two(1000, 5, old, fresh)), false},
		"an object is named by kind, namespace and name":  {Ref{Group: "g", Kind: "K", Namespace: "ns", Name: "n"}.String(), "K/ns/n"},
		"no routes make no split":                         {Widest().IsZero(), true},
		"routes that agree make their split":              {Widest(Two(100, 5, old, fresh), Two(100, 5, old, fresh)).Equal(Two(100, 5, old, fresh)), true},
		"routes that differ need capacity for both":       {Widest(Two(100, 5, old, fresh), Two(100, 50, old, fresh)).String(), "Stable old 95 + Canary new 50"}, // Covers: defect 19.
		"found weights of the full total stay":            {Found(100, old, fresh, 70, 30).String(), "Stable old 70 + Canary new 30"},
		"equal parts are a half each":                     {Found(100, old, fresh, 1, 1).String(), "Stable old 50 + Canary new 50"},
		"thirds are rounded up on both sides":             {Found(100, old, fresh, 1, 2).String(), "Stable old 34 + Canary new 67"},
		"nought and nought is no wanted split":            {Found(100, old, fresh, 0, 0).String(), "Stable old 0 + Canary new 0"},
		"the role is set whatever was passed":             {Found(100, fresh, old, 100, 0).Destinations[0].Role, Stable},
		"extra parts that add up stay, by Service":        {Found(100, old, fresh, 50, 30, extra("b", 5), extra("a", 15)).String(), "Stable old 50 + Canary new 30 + Extra a 15 + Extra b 5"},
		"extra parts are rounded up as others":            {Found(100, old, fresh, 1, 1, extra("a", 1)).String(), "Stable old 34 + Canary new 34 + Extra a 34"},
		"a negative part is none":                         {Found(100, old, fresh, 100, 0, extra("a", -5)).String(), "Stable old 100 + Canary new 0 + Extra a 0"},
		"an extra one that only one route has counts":     {Widest(Two(100, 5, old, fresh), Found(100, old, fresh, 75, 5, extra("a", 20))).String(), "Stable old 95 + Canary new 5 + Extra a 20"},
		"extra ones stand by Service":                     {Widest(Found(100, old, fresh, 75, 5, extra("b", 20)), Found(100, old, fresh, 75, 5, extra("a", 20))).String(), "Stable old 75 + Canary new 5 + Extra a 20 + Extra b 20"},
		"held weights leave stable the rest":              {held(7, 30, 20).String(), "Stable old 50 + Canary new 30 + Extra a 20"},
		"held extra weights take what the canary leaves":  {held(7, 90, 20).String(), "Stable old 0 + Canary new 90 + Extra a 10"},
		"a held canary is not above the total":            {held(7, 130, 20).String(), "Stable old 0 + Canary new 100 + Extra a 0"},
		"held weights are not negative":                   {held(7, -25, -20).String(), "Stable old 100 + Canary new 0 + Extra a 0"},
		"nothing is held as nothing":                      {Split{}.Held().IsZero(), true},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(c.want, c.got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestFoundWeightsCoverWhatTheProxiesDo(t *testing.T) {
	law := func(a, b uint16) bool {
		s := Found(100, old, fresh, int64(a), int64(b))
		sum := int64(a) + int64(b)
		if sum == 0 {
			return s.Weight(Stable) == 0 && s.Weight(Canary) == 0
		}
		covers := func(r Role, parts int64) bool { return int64(s.Weight(r))*sum >= parts*100 }
		return covers(Stable, int64(a)) && covers(Canary, int64(b)) && s.Weight(Stable) <= 100 && s.Weight(Canary) <= 100
	}
	if err := quick.Check(law, nil); err != nil {
		t.Fatal(err)
	}
}

func TestWidestDoesNotChangeItsArguments(t *testing.T) {
	a, b := Two(100, 5, old, fresh), Two(100, 50, old, fresh)
	Widest(a, b)
	if !a.Equal(Two(100, 5, old, fresh)) {
		t.Errorf("first argument is now %s", a)
	}
}

// Covers: traffic defect 26.
func TestParts(t *testing.T) {
	for name, c := range map[string]struct {
		value any
		parts int64
		exact bool
	}{
		"a whole number":            {int64(30), 30, true},
		"a whole number as a float": {float64(30), 30, true},
		"a fraction is rounded up":  {30.2, 31, false},
		"a negative number is none": {int64(-1), 0, false},
		"a negative float is none":  {-0.5, 0, false},
		"a giant is bounded":        {int64(math.MaxInt64), maxParts, false},
		"a giant float is bounded":  {1e300, maxParts, false},
		"infinity is bounded":       {math.Inf(1), maxParts, false},
		"not a number is none":      {math.NaN(), 0, false},
		"a missing weight is none":  {nil, 0, false},
		"a string is none":          {"30", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			if parts, exact := Parts(c.value); parts != c.parts || exact != c.exact {
				t.Errorf("got %d, %v, want %d, %v", parts, exact, c.parts, c.exact)
			}
		})
	}
}
