package rollout

import "github.com/penstock-io/penstock/api/v1alpha1"

// Roles are the names of the Services behind the two roles of a rollout's traffic; ""
// where there is none. Blue-green serves over its active Service and shows the new
// revision over its preview Service. With ping-pong the two Services change places at
// each promotion: an empty status says that pong is stable (core.md §5.14).
func Roles(spec *v1alpha1.RolloutSpec, status *v1alpha1.RolloutStatus) (stable, canary string) {
	if b := spec.Strategy.BlueGreen; b != nil {
		return b.ActiveService, b.PreviewService
	}
	c := spec.Strategy.Canary
	switch {
	case c == nil:
		return "", ""
	case c.PingPong == nil:
		return c.StableService, c.CanaryService
	case status.Canary.StablePingPong == v1alpha1.PPPing:
		return c.PingPong.PingService, c.PingPong.PongService
	}
	return c.PingPong.PongService, c.PingPong.PingService
}
