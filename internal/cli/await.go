package cli

import (
	"context"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// await follows one object until look is satisfied, and prints each new thing that look says.
// It looks at every change, and every second, for what look asks besides. The object is nil
// while there is none. The error of ctx is returned as it is.
func (s *session) await(ctx context.Context, c *cluster, n noun, name string, look func(o client.Object) (say string, done bool, err error)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	updates := make(chan update)
	go c.named(n, name).follow(ctx, c, updates)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	var o client.Object
	for said, known := "", false; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case u := <-updates:
			if u.err != nil {
				return u.err
			}
			o, known = nil, true
			for _, there := range u.objects {
				o = there
			}
		case <-ticker.C:
		}
		if !known {
			continue
		}
		say, done, err := look(o)
		if say != "" && say != said {
			if err := s.print(say + "\n"); err != nil {
				return err
			}
			said = say
		}
		if done || err != nil {
			return err
		}
	}
}
