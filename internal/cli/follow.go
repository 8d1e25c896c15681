package cli

import "context"

// following keeps a gathering up to date: a watch for every feed that is wanted, for as
// long as it is.
type following struct {
	*gathering
	ctx     context.Context
	updates chan update
	stops   map[string]context.CancelFunc // by the feed's id
}

func (g *gathering) following(ctx context.Context) *following {
	return &following{gathering: g, ctx: ctx, updates: make(chan update), stops: map[string]context.CancelFunc{}}
}

// begin starts the watches that what is known leads to, and ends the others.
func (f *following) begin() error {
	all, err := f.wanted()
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, feed := range all {
		id := feed.id()
		if wanted[id] = true; f.stops[id] != nil {
			continue
		}
		ctx, stop := context.WithCancel(f.ctx)
		f.stops[id] = stop
		go feed.follow(ctx, f.c, f.updates)
	}
	if !f.whole() {
		return nil // what is no longer wanted stays until its successor is there
	}
	for id, stop := range f.stops {
		if !wanted[id] {
			stop()
			delete(f.stops, id)
			delete(f.parts, id)
		}
	}
	return nil
}

// take takes in news, and what they lead to. The error says why the picture must end.
func (f *following) take(u update) error {
	if f.stops[u.feed.id()] == nil {
		return nil
	}
	if err := f.put(u); err != nil {
		return err
	}
	return f.begin()
}

// whole: something was heard of every feed.
func (f *following) whole() bool {
	for id := range f.stops {
		if _, known := f.parts[id]; !known {
			return false
		}
	}
	return true
}
