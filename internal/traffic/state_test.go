package traffic

import (
	"slices"
	"testing"
	"testing/quick"
	"time"

	"github.com/google/go-cmp/cmp"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

const settle = 10 * time.Second

func at(weight int32) Split { return Two(100, weight, old, fresh) }

// look is one call of See.
type look struct {
	after     time.Duration
	weight    int32
	confirmed bool
}

func run(looks []look) (History, State) {
	var h History
	var s State
	for _, l := range looks {
		h, s = h.See(start.Add(l.after), at(l.weight), l.confirmed, settle)
	}
	return h, s
}

// Covers: traffic defect 28.
func TestHistory(t *testing.T) {
	for name, c := range map[string]struct {
		looks   []look
		live    []int32
		known   bool
		settled time.Duration // after start; 0 means it already has
	}{
		"a new controller knows nothing": {
			looks: []look{{0, 5, false}}, live: []int32{5}, settled: settle,
		},
		// Covers: outage 2.
		"just before the settle time it still knows nothing": {
			looks: []look{{0, 5, false}, {settle - 1, 5, false}}, live: []int32{5}, settled: settle,
		},
		"after the settle time it knows": {
			looks: []look{{0, 5, false}, {settle, 5, false}}, live: []int32{5}, known: true,
		},
		"a confirmation spares the wait": {
			looks: []look{{0, 5, true}}, live: []int32{5}, known: true,
		},
		"a write keeps the split before it live": {
			looks: []look{{0, 5, true}, {1, 20, false}}, live: []int32{5, 20}, known: true, settled: settle + 1,
		},
		"two writes within the settle time keep all three live": {
			looks: []look{{0, 5, true}, {1, 20, false}, {2, 50, false}}, live: []int32{5, 20, 50}, known: true, settled: settle + 2,
		},
		"a rollback within the settle time keeps both live, once each": {
			looks: []look{{0, 5, true}, {1, 20, false}, {2, 5, false}}, live: []int32{20, 5}, known: true, settled: settle + 2,
		},
		"to and fro and to keeps both live, once each": {
			looks: []look{{0, 5, true}, {1, 20, false}, {2, 5, false}, {3, 20, false}}, live: []int32{5, 20}, known: true, settled: settle + 3,
		},
		"after the settle time only the written split is live": {
			looks: []look{{0, 5, true}, {1, 20, false}, {1 + settle, 20, false}}, live: []int32{20}, known: true,
		},
		"a write before anything is known starts the wait anew": {
			looks: []look{{0, 5, false}, {settle / 2, 20, false}, {settle, 20, false}}, live: []int32{5, 20}, settled: settle + settle/2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			h, s := run(c.looks)
			var live []int32
			for _, l := range s.Live {
				live = append(live, l.Weight(Canary))
			}
			if d := cmp.Diff(c.live, live); d != "" {
				t.Errorf("live: %s", d)
			}
			if s.Known != c.known {
				t.Errorf("known %v, want %v", s.Known, c.known)
			}
			if got := s.Confirmed(); got != (c.known && len(c.live) == 1) {
				t.Errorf("confirmed %v", got)
			}
			var want time.Time
			if c.settled != 0 {
				want = start.Add(c.settled)
			}
			if got := h.Settled(settle); !got.Equal(want) {
				t.Errorf("settles at %v, want %v", got, want)
			}
		})
	}
}

func TestLawsOfSee(t *testing.T) {
	type step struct {
		Wait      uint8 // tenths of a settle time, by 16
		Weight    uint8
		Confirmed bool
	}
	law := func(steps []step) bool {
		var h History
		now := start
		for _, st := range steps {
			now = now.Add(time.Duration(st.Wait%16) * settle / 10)
			before, written := h, at(int32(st.Weight%4))
			oldBefore := slices.Clone(before.Old)
			next, s := h.See(now, written, st.Confirmed, settle)
			again, s2 := next.See(now, written, st.Confirmed, settle)
			switch {
			case !cmp.Equal(next, again) || !cmp.Equal(s, s2): // same look, same answer
				return false
			case !cmp.Equal(oldBefore, before.Old): // the history passed in is not changed
				return false
			case !s.Written.Equal(written) || !slices.ContainsFunc(s.Live, written.Equal):
				return false
			case (st.Confirmed || now.Sub(next.Seen) >= settle) != s.Confirmed() && !before.Known:
				return false
			case (st.Confirmed || now.Sub(next.Seen) >= settle) && !s.Confirmed():
				return false
			case before.Known && !next.Known: // knowledge is not lost
				return false
			case len(s.Live) > 4: // no split twice
				return false
			case !st.Confirmed && now.Equal(next.Seen) && !before.Seen.IsZero() && !slices.ContainsFunc(s.Live, before.Written.Equal):
				return false // what was written until now may linger
			}
			h = next
		}
		return true
	}
	if err := quick.Check(law, &quick.Config{MaxCount: 2000}); err != nil {
		t.Fatal(err)
	}
}

// Covers: outage 2, outage 3.
func TestExposureIsTheLargestShareThatMayFlow(t *testing.T) {
	_, s := run([]look{{0, 5, true}, {1, 50, false}, {2, 20, false}})
	if got := s.Exposure("new"); got != 50 {
		t.Errorf("canary exposure %d, want 50", got)
	}
	if got := s.Exposure("old"); got != 95 {
		t.Errorf("stable exposure %d, want 95", got)
	}
	if got := s.Exposure("gone"); got != 0 {
		t.Errorf("exposure of a stranger %d, want 0", got)
	}
}

// Covers: outage 5.
func TestExposureCountsEveryWayToARevision(t *testing.T) {
	exp := func(s Split, hash string, weight int32) Split {
		s.Destinations = append(slices.Clone(s.Destinations), Destination{Role: Extra, Service: "exp", Hash: hash, Weight: weight})
		s.Destinations[0].Weight -= weight
		return s
	}
	toNewer := Two(100, 0, old, Destination{Service: "web-canary", Hash: "newer"})
	for sentence, c := range map[string]struct {
		splits []Split // the last is the written one
		hash   string
		want   int32
	}{
		"a header route sends something whatever the weight":         {[]Split{with(at(0), headers(header("h", "1")))}, "new", 1},
		"a header route that is gone may still be live":              {[]Split{with(at(0), headers(header("h", "1"))), at(0)}, "new", 1},
		"a header route that is not as written sends, too":           {[]Split{with(at(0), headers(Broken("h")))}, "new", 1},
		"with a weight it adds nothing":                              {[]Split{with(at(5), headers(header("h", "1")))}, "new", 5},
		"a header route is not about stable":                         {[]Split{with(at(100), headers(header("h", "1")))}, "old", 0},
		"a mirror route sends copies that nobody waits for":          {[]Split{with(at(0), nil, mirror("m", nil, "GET"))}, "new", 0},
		"a header route may still send to the canary before":         {[]Split{with(at(0), headers(header("h", "1"))), toNewer}, "new", 1},
		"a canary that was overtaken keeps what may be live":         {[]Split{at(80), toNewer}, "new", 80},
		"what may be live may arrive at the canary that overtook":    {[]Split{at(80), toNewer}, "newer", 80},
		"an experiment has its weight":                               {[]Split{exp(at(10), "x", 20)}, "x", 20},
		"an experiment that is not written any more may be live":     {[]Split{exp(at(10), "x", 20), at(10)}, "x", 20},
		"an experiment whose revision changed has its largest share": {[]Split{exp(at(10), "x", 20), exp(at(10), "y", 5)}, "y", 20},
		"an experiment on the canary's revision adds up":             {[]Split{exp(at(10), "new", 20)}, "new", 30},
		"an experiment is nobody else's":                             {[]Split{exp(at(10), "x", 20)}, "new", 10},
		"it never exceeds the total":                                 {[]Split{exp(at(100), "new", 0), exp(at(0), "new", 100)}, "new", 100},
		"what is live counts although nothing is written":            {[]Split{at(50), {}}, "new", 50},
	} {
		t.Run(sentence, func(t *testing.T) {
			var h History
			var s State
			for i, split := range c.splits {
				h, s = h.See(start.Add(time.Duration(i)), split, i == 0, settle)
			}
			if got := s.Exposure(c.hash); got != c.want {
				t.Errorf("exposure %d, want %d", got, c.want)
			}
		})
	}
}

func TestAnotherManagedRouteIsAnotherSplit(t *testing.T) {
	var h History
	h, _ = h.See(start, at(5), true, settle)
	h, s := h.See(start.Add(1), with(at(5), headers(header("h", "1"))), false, settle)
	if len(s.Live) != 2 || s.Confirmed() || len(s.Written.Headers) != 1 || h.Settled(settle).IsZero() {
		t.Errorf("state %+v", s)
	}
	_, s = h.See(start.Add(1+settle), with(at(5), headers(header("h", "1"))), false, settle)
	if !s.Confirmed() {
		t.Errorf("after the settle time: %+v", s)
	}
}

func TestPointsListsEachRevisionOnce(t *testing.T) {
	var h History
	h, _ = h.See(start, at(5), true, settle)
	h, _ = h.See(start.Add(1), Two(100, 5, old, Destination{Hash: "newer"}), false, settle)
	_, s := h.See(start.Add(2), Two(100, 6, old, Destination{Hash: "newer"}), false, settle)
	if d := cmp.Diff([]string{"newer", "new"}, s.Points(Canary)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"old"}, s.Points(Stable)); d != "" {
		t.Error(d)
	}
	if s.Points(Extra) != nil {
		t.Errorf("extra points at %v", s.Points(Extra))
	}
	written := at(5)
	written.Destinations = append(written.Destinations, Destination{Role: Extra, Hash: "a"}, Destination{Role: Extra, Hash: "b"})
	if d := cmp.Diff([]string{"a", "b"}, State{Written: written}.Points(Extra)); d != "" {
		t.Error(d)
	}
}
