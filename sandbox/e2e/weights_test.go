package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	prometheus "github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/sandbox/load"
	"github.com/penstock-io/penstock/sandbox/mesh"
)

const (
	// asked is how many requests prove one weight, or a mirror's share.
	asked = 20_000
	// askedMarked is how many prove that a header is obeyed.
	askedMarked = 2_000
	workers     = 16
	// sure is how much of what chance does is allowed.
	sure = 0.999
)

// TestWeightsAreProven sends real requests through releases with every router whose
// objects need no cloud. All begin and end together, and take turns at the weights. It is
// not parallel: it needs the machine for itself.
func TestWeightsAreProven(t *testing.T) {
	began := time.Now()
	var proofs []*proof
	for _, r := range routedBy {
		p := &proof{routed: r, ns: space(t)}
		p.host = strings.ReplaceAll(r.host, "$ns", p.ns)
		apply(t, p.ns, p.given(p.ns, p.host))
		proofs = append(proofs, p)
	}
	for _, p := range proofs {
		p.begin(t)
	}
	for _, p := range proofs {
		t.Run(p.name, p.release)
	}
	t.Run("promotion and abort", func(t *testing.T) {
		for _, p := range proofs {
			t.Run(p.name, func(t *testing.T) {
				t.Parallel()
				p.end(t)
			})
		}
	})
	var requests, failures uint64
	for _, p := range proofs {
		requests, failures = requests+p.requests, failures+p.failures
	}
	t.Logf("%d requests, %d failed, %v", requests, failures, time.Since(began).Round(time.Second))
}

// proof is one Rollout under load.
type proof struct {
	routed
	ns, host           string
	users              *users
	requests, failures uint64
}

// begin lets users ask, from now on to the end, and releases v2.
func (p *proof) begin(t *testing.T) {
	await(t, p.ns, "web", time.Minute, inPhase(v1alpha1.RolloutPhaseHealthy))
	p.followed(t)
	within(t, 20*time.Second, func() error { return answered(t, p.host, 40) })
	p.users = newUsers(t, p.host)
	p.patch(t, `[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"`+demoImage("v2")+`"}]`)
}

// release goes up to the last weight.
func (p *proof) release(t *testing.T) {
	step := int32(1)
	if p.managed {
		await(t, p.ns, "web", time.Minute, atStep(3))
		p.copied(t)
		p.marked(t)
		resume(t, p.ns, "web")
		step = 7
	}
	for i, weight := range proven {
		if i > 0 {
			resume(t, p.ns, "web")
		}
		await(t, p.ns, "web", time.Minute, atStep(step+2*int32(i)))
		p.shared(t, weight)
		p.marked(t)
	}
	if r := p.users.generator.Snapshot(); r.Failed != 0 {
		t.Errorf("%d of %d requests of users failed: %v", r.Failed, r.Sent, r.ByStatus)
	}
}

// end promotes v2 and aborts v3.
func (p *proof) end(t *testing.T) {
	resume(t, p.ns, "web")
	await(t, p.ns, "web", time.Minute, inPhase(v1alpha1.RolloutPhaseHealthy))
	p.only(t, demoImage("v2"))
	p.users.answers(t, 50)

	p.patch(t, `[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"`+demoImage("v3")+`"},`+
		`{"op":"replace","path":"/spec/strategy/canary/steps","value":[{"setWeight":30},{"pause":{}}]}]`)
	ro := await(t, p.ns, "web", time.Minute, atStep(1))
	p.users.answers(t, 50)
	if err := shared.Client().Status().Patch(t.Context(), ro, client.RawPatch(types.MergePatchType, []byte(`{"status":{"abort":true}}`))); err != nil {
		t.Fatal(err)
	}
	await(t, p.ns, "web", time.Minute, inPhase(v1alpha1.RolloutPhaseDegraded))
	p.only(t, demoImage("v2"))
	p.users.answers(t, 50)
	r := p.users.served(t)
	p.counted(r)
	if r.ByVersion["v1"] == 0 || r.ByVersion["v2"] == 0 || r.ByVersion["v3"] == 0 {
		t.Errorf("users have seen %v, want all three versions", r.ByVersion)
	}
	t.Logf("%d requests in all, %d failed; users have seen %v", p.requests, p.failures, r.ByVersion)
}

func (p *proof) counted(r load.Report) {
	p.requests, p.failures = p.requests+r.Sent, p.failures+r.Failed
}

func (p *proof) patch(t *testing.T, body string) {
	t.Helper()
	if err := shared.Client().Patch(t.Context(), rollout(t, p.ns, "web"), client.RawPatch(types.JSONPatchType, []byte(body))); err != nil {
		t.Fatal(err)
	}
}

// followed waits until the gateway routes by the weights as they are now.
func (p *proof) followed(t *testing.T) {
	t.Helper()
	u := object(p.group, p.version, p.kind)
	u.SetNamespace(p.ns)
	u.SetName(p.weights)
	followed(t, p.host, u)
}

// ask sends n requests, none of which may fail, and counts the versions that answer.
func (p *proof) ask(t *testing.T, n int, path string, header http.Header) map[string]uint64 {
	t.Helper()
	r, err := load.Exactly(t.Context(), load.Options{URL: shared.Gateway().URL() + path, Host: p.host, Header: header, Timeout: patience}, n, workers)
	if err != nil {
		t.Fatal(err)
	}
	p.counted(r)
	if r.OK != uint64(n) {
		t.Errorf("of %d requests %d were answered: %v", n, r.OK, r.ByStatus)
	}
	return r.ByVersion
}

// shared wants the canary's share to be what chance allows at a weight.
func (p *proof) shared(t *testing.T, weight int) {
	t.Helper()
	p.followed(t)
	p.allowed(t, fmt.Sprintf("weight %d", weight), p.ask(t, asked, "/", nil)["v2"], float64(weight)/100)
}

func (p *proof) allowed(t *testing.T, what string, hits uint64, share float64) {
	t.Helper()
	least, most := load.Binomial(asked, share, sure)
	tell := t.Logf
	if hits < uint64(least) || hits > uint64(most) {
		tell = t.Errorf
	}
	tell("%s: %d of %d requests, %.3f %%; %d to %d are allowed", what, hits, asked, 100*float64(hits)/asked, least, most)
}

// marked wants every request with the header to reach the canary.
func (p *proof) marked(t *testing.T) {
	t.Helper()
	if !p.managed {
		return
	}
	if got := p.ask(t, askedMarked, "/", http.Header{"X-Marked": {"yes"}}); got["v2"] != askedMarked {
		t.Errorf("of %d requests with the header the versions answer %v", askedMarked, got)
	}
}

// copied wants the mirrored share to be what chance allows, at weight 0: the pods of the
// canary get nothing else, and what they count is what the gateway has sent.
func (p *proof) copied(t *testing.T) {
	t.Helper()
	p.followed(t)
	if got := p.ask(t, askedMarked, "/", nil); got["v1"] != askedMarked {
		t.Errorf("at weight 0 the versions answer %v", got)
	}
	before := p.gatewayHas(func(k mesh.Key) bool { return k.Mirror })
	if got := p.ask(t, asked, "/copied", nil); got["v1"] != asked {
		t.Errorf("at weight 0 the versions answer %v to mirrored requests", got)
	}
	var hits uint64
	within(t, 20*time.Second, func() error {
		hits = p.gatewayHas(func(k mesh.Key) bool { return k.Mirror }) - before
		sent := p.gatewayHas(func(k mesh.Key) bool { return k.Version == "v2" && k.Class == "2xx" })
		got, err := p.podsHave(t, "v2")
		if err != nil || got != sent || got == 0 {
			return fmt.Errorf("the canary's pods have counted %d requests of %d, %v", got, sent, err)
		}
		return nil
	})
	p.allowed(t, "mirror", hits, copies/100.0)
	if lost := p.gatewayHas(func(k mesh.Key) bool { return k.Mirror && k.Reason != "" }); lost != 0 {
		t.Errorf("%d mirrored requests were lost", lost)
	}
}

func (p *proof) gatewayHas(match func(mesh.Key) bool) uint64 {
	return shared.Gateway().Stats().Total(func(k mesh.Key) bool { return k.Host == p.host && match(k) })
}

// podsHave is what the pods of a version count.
func (p *proof) podsHave(t *testing.T, version string) (uint64, error) {
	t.Helper()
	c, err := prometheus.NewClient(prometheus.Config{Address: shared.PrometheusURL()})
	if err != nil {
		t.Fatal(err)
	}
	value, _, _, err := promv1.NewAPI(c).Query(t.Context(), fmt.Sprintf("sum(http_requests_total{namespace=%q,version=%q})", p.ns, version), time.Now())
	if err != nil {
		return 0, err
	}
	if v, is := value.(model.Vector); is && len(v) == 1 {
		return uint64(v[0].Value), nil
	}
	return 0, fmt.Errorf("prometheus answers %v", value)
}

// only waits until the pods of an image are all that is left.
func (p *proof) only(t *testing.T, image string) {
	t.Helper()
	within(t, time.Minute, func() error {
		list := &corev1.PodList{}
		if err := shared.Client().List(t.Context(), list, client.InNamespace(p.ns)); err != nil {
			return err
		}
		for i := range list.Items {
			if got := list.Items[i].Spec.Containers[0].Image; got != image {
				return fmt.Errorf("pod %s runs %s", list.Items[i].Name, got)
			}
		}
		if len(list.Items) != 4 {
			return fmt.Errorf("%d pods, want 4", len(list.Items))
		}
		return nil
	})
}
