package mesh

import (
	"slices"
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

func TestLagHoldsRoutesBackInOrder(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	routes := func(version string) Routes {
		return Routes{VirtualServices: []VirtualService{{ObjectMeta: metav1.ObjectMeta{ResourceVersion: version}}}}
	}
	var d delayed
	d.offer(routes("1"), at(0))
	d.offer(routes("1"), at(1)) // not a change
	d.offer(routes("2"), at(4))
	now := func(s int, lag time.Duration) string {
		r, _ := d.current(at(s), lag)
		if len(r.VirtualServices) == 0 {
			return ""
		}
		return r.VirtualServices[0].ResourceVersion
	}
	for _, step := range []struct {
		second int
		lag    time.Duration
		want   string
	}{{2, 5 * time.Second, ""}, {5, 5 * time.Second, "1"}, {8, 5 * time.Second, "1"}, {8, 0, "2"}} {
		if got := now(step.second, step.lag); got != step.want {
			t.Errorf("at %d s with lag %s: version %q, want %q", step.second, step.lag, got, step.want)
		}
	}
	d.offer(Routes{}, at(10))
	if _, next := d.current(at(11), 3*time.Second); next != 2*time.Second {
		t.Errorf("next look in %s, want 2s", next)
	}
	if got := now(13, 3*time.Second); got != "" {
		t.Errorf("a deletion is not followed: version %q", got)
	}
}

func TestEveryKindOfRouteIsHeldBack(t *testing.T) {
	meta := metav1.ObjectMeta{Name: "web"}
	nothing := stampsOf(Routes{})
	for name, r := range map[string]Routes{
		"VirtualService":  {VirtualServices: []VirtualService{{ObjectMeta: meta}}},
		"DestinationRule": {DestinationRules: []DestinationRule{{ObjectMeta: meta}}},
		"HTTPRoute":       {HTTPRoutes: []gatewayv1.HTTPRoute{{ObjectMeta: meta}}},
		"Ingress":         {Ingresses: []*networkingv1.Ingress{{ObjectMeta: meta}}},
		"TrafficSplit":    {TrafficSplits: []TrafficSplit{{ObjectMeta: meta}}},
		"IngressRoute":    {IngressRoutes: []IngressRoute{{ObjectMeta: meta}}},
		"TraefikService":  {TraefikServices: []TraefikService{{ObjectMeta: meta}}},
	} {
		if slices.Equal(stampsOf(r), nothing) {
			t.Errorf("a new %s is no change", name)
		}
	}
}
