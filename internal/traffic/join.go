package traffic

import "slices"

// Carries is what a router can carry beside the weights of stable and canary.
type Carries struct{ Extras, Headers, Mirrors bool }

// Everything is what a router carries that has no limits.
var Everything = Carries{Extras: true, Headers: true, Mirrors: true}

// For is the part of a split that a router can carry. What its extra destinations would get
// goes to stable.
func (s Split) For(c Carries) Split {
	if !c.Headers {
		s.Headers = nil
	}
	if !c.Mirrors {
		s.Mirrors = nil
	}
	if c.Extras || len(s.Extras()) == 0 {
		return s
	}
	var rest int32
	for _, d := range s.Extras() {
		rest += d.Weight
	}
	s.Destinations = slices.DeleteFunc(slices.Clone(s.Destinations), func(d Destination) bool { return d.Role == Extra })
	for i := range s.Destinations {
		if s.Destinations[i].Role == Stable {
			s.Destinations[i].Weight += rest
		}
	}
	return s
}

// Look is what one of several routers says.
type Look struct {
	Carries
	Split
}

// Join is the split that several routers ask for together, each as far as it can carry it.
// Where they do not agree it is their Widest with an empty entry that no wanted split has, so
// that it is always written anew, and apart lists what each asks for.
func Join(looks ...Look) (written Split, apart []Split) {
	switch len(looks) {
	case 0:
		return Split{}, nil
	case 1:
		return looks[0].Split, nil
	}
	written = fullest(looks)
	if !slices.ContainsFunc(looks, func(l Look) bool { return !l.Split.Equal(written.For(l.Carries)) }) {
		return written, nil
	}
	for _, l := range looks {
		if !slices.ContainsFunc(apart, l.Split.Equal) {
			apart = append(apart, l.Split)
		}
	}
	written = Widest(apart...)
	written.Destinations = append(written.Destinations, Destination{Role: Extra})
	return written, apart
}

// fullest takes each part of a split from the first that carries it.
func fullest(looks []Look) Split {
	first := func(can func(Carries) bool) Split {
		i := slices.IndexFunc(looks, func(l Look) bool { return can(l.Carries) })
		return looks[max(i, 0)].Split
	}
	s := first(func(c Carries) bool { return c.Extras })
	s.Headers = first(func(c Carries) bool { return c.Headers }).Headers
	s.Mirrors = first(func(c Carries) bool { return c.Mirrors }).Mirrors
	return s
}
