package traffic

import (
	"slices"
	"time"
)

// State is what is known about a rollout's traffic at one moment.
type State struct {
	// Written is the split that the route objects (and Service selectors) ask for.
	Written Split
	// Live lists every split that the data plane may be serving now, Written among
	// them. One entry means: confirmed.
	Live []Split
	// Known is false while it cannot be told what the data plane does, as after a
	// restart of the controller within the settle time: then nothing may be removed.
	Known bool
	// Partial says why only some of the routers could be asked, in a sentence for a person:
	// weights may go back to stable on the others, and nothing else may happen.
	Partial string
	// Problem is set when the route objects cannot be used as they are, in a
	// sentence for a person; the split is then not to be relied on.
	Problem string
}

// Confirmed reports whether the data plane is known to serve the written split and no other.
func (s State) Confirmed() bool {
	return s.Known && len(s.Live) == 1 && s.Live[0].Equal(s.Written)
}

// Exposure returns the largest share that the revision may be receiving. The weight of a
// destination and the revision behind it live in different objects and may lag each on its
// own, so it is the largest live weight of every destination that may point at the revision.
//
// A header route sends the canary requests whatever its weight, as many as happen to
// match: they count as one part of the total, so that there is always somebody to answer.
func (s State) Exposure(hash string) int32 {
	var w, total int32
	for _, r := range []Role{Stable, Canary} {
		if !slices.Contains(s.Points(r), hash) {
			continue
		}
		share := s.Largest(r)
		if r == Canary && share == 0 && s.hasHeaders() {
			share = 1
		}
		w += share
	}
	extras := map[string]int32{} // by Service
	points := map[string]bool{}
	for _, sp := range s.all() {
		total = max(total, sp.Total)
		for _, d := range sp.Extras() {
			extras[d.Service] = max(extras[d.Service], d.Weight)
			points[d.Service] = points[d.Service] || d.Hash == hash
		}
	}
	for service, share := range extras {
		if points[service] {
			w += share
		}
	}
	return min(w, total)
}

// all lists the written split and the live ones.
func (s State) all() []Split { return append([]Split{s.Written}, s.Live...) }

// hasHeaders reports whether a header route may be sending requests to the canary.
func (s State) hasHeaders() bool {
	return slices.ContainsFunc(s.all(), func(sp Split) bool { return len(sp.Headers) > 0 })
}

// Largest returns the largest share that may be arriving over a role.
func (s State) Largest(r Role) int32 {
	w := s.Written.Weight(r)
	for _, l := range s.Live {
		w = max(w, l.Weight(r))
	}
	return w
}

// Points returns every revision hash that the role may point at now, without doubles.
func (s State) Points(r Role) []string {
	var hashes []string
	for _, sp := range s.all() {
		for _, d := range sp.Destinations {
			if d.Role == r && !slices.Contains(hashes, d.Hash) {
				hashes = append(hashes, d.Hash)
			}
		}
	}
	return hashes
}

// History remembers, between passes, which splits may still be live. The zero value is
// a controller that has just started and knows nothing.
type History struct {
	// Seen is when the written split was first seen as it is now.
	Seen time.Time
	// Old are splits that were written before Written and may linger.
	Old []Split
	// Written is the split of the last look.
	Written Split
	// Known becomes true when one settle time has passed, or a confirmation came,
	// since the first look.
	Known bool
}

// See takes a new look at the world and returns the history after it and the state for
// the planner. Written is the split as read now; confirmed says that the router itself
// vouches for it; settle is how long the data plane may lag where it does not.
//
// It is pure: the same look twice changes nothing.
func (h History) See(now time.Time, written Split, confirmed bool, settle time.Duration) (History, State) {
	switch {
	case h.Seen.IsZero():
		h = History{Seen: now, Written: written}
	case !h.Written.Equal(written):
		// A return to an old split makes it the written one: it is not old any more.
		old := append(slices.DeleteFunc(slices.Clone(h.Old), written.Equal), h.Written)
		h = History{Seen: now, Old: old, Written: written, Known: h.Known}
	}
	if confirmed || now.Sub(h.Seen) >= settle {
		h.Old, h.Known = nil, true
	}
	live := append(slices.Clone(h.Old), written)
	return h, State{Written: written, Live: live, Known: h.Known}
}

// Settled returns the moment at which a quiet data plane counts as having followed the
// written split; zero if it already does.
func (h History) Settled(settle time.Duration) time.Time {
	if h.Seen.IsZero() || (h.Known && len(h.Old) == 0) {
		return time.Time{}
	}
	return h.Seen.Add(settle)
}
