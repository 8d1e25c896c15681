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
}
