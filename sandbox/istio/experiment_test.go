package istio

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// trial is an experiment in the middle of a release, with shares of the traffic.
const trial = `
      - setWeight: 20
      - experiment:
          templates:
          - {name: baseline, specRef: stable, weight: 5, replicas: 1}
          - {name: candidate, specRef: canary, weight: 10, replicas: 2}
      - pause: {}
`

// unhurried is a container that is ready a second after it was made, as one in a cluster at
// the earliest. One that is ready at once may get its share in the very push in which Istio
// tells of its cluster; then a sidecar has the route a round trip before the endpoints.
const unhurried = `, readinessProbe: {tcpSocket: {port: http}, initialDelaySeconds: 1}`

// The templates of an experiment get the shares that they ask for, at their own pods, whatever
// ports those have, and leave as they came.
func TestIstioProgramsTheSharesOfAnExperiment(t *testing.T) {
	for name, l := range levels {
		for ports, list := range map[string]string{"one port": onePort, "two ports": twoPorts} {
			t.Run(name+", "+ports, func(t *testing.T) {
				t.Parallel()
				r := begin(t, l, "trial-"+name+"-"+ports[:3], rolloutOf(l, list+unhurried, trial))
				v1, v2 := ofVersion("v1"), ofVersion("v2")
				r.reaches(t, "the first version", healthy)
				r.shows(t, "the first version", stableAlone, map[string]func(*corev1.Pod) bool{l.stable: v1, l.canary: v1})
				defer r.neverEmpty(t)()
				if err := image("v2")(t.Context(), r); err != nil {
					t.Fatal(err)
				}
				experiment := r.experiment(t)
				baseline, candidate := experiment+"-baseline", experiment+"-candidate"
				r.shows(t, "the experiment", []string{docs, fmt.Sprintf("any → STABLE 65 CANARY 20 %s 5 %s 10", r.extra(baseline), r.extra(candidate))},
					map[string]func(*corev1.Pod) bool{
						l.stable: butNot(v1, ofSet(baseline)), l.canary: butNot(v2, ofSet(candidate)),
						r.extra(baseline): ofSet(baseline), r.extra(candidate): ofSet(candidate),
					})
				r.isValid(t, "the experiment")
				if err := r.terminate(t.Context(), experiment); err != nil {
					t.Fatal(err)
				}
				r.reaches(t, "the end of the experiment", paused(2))
				r.shows(t, "the end of the experiment", []string{docs, "any → STABLE 80 CANARY 20"},
					map[string]func(*corev1.Pod) bool{l.stable: butNot(v1, ofSet(baseline)), l.canary: butNot(v2, ofSet(candidate))})
				r.isValid(t, "the end of the experiment")
			})
		}
	}
}

func butNot(of, other func(*corev1.Pod) bool) func(*corev1.Pod) bool {
	return func(p *corev1.Pod) bool { return of(p) && !other(p) }
}

// extra is the cluster of an experiment's Service, at the port of the containers.
func (r *release) extra(service string) string { return "outbound|8080||" + service }

// experiment waits for the one that the Rollout starts.
func (r *release) experiment(t *testing.T) (name string) {
	t.Helper()
	err := poll(time.Minute, func() error {
		list, err := shared.Resource(experiments).Namespace(r.namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			return err
		}
		if len(list.Items) != 1 {
			return errors.New("there is no experiment")
		}
		name = list.Items[0].GetName()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func (r *release) terminate(ctx context.Context, experiment string) error {
	_, err := shared.Resource(experiments).Namespace(r.namespace).Patch(ctx, experiment, types.MergePatchType,
		[]byte(`{"spec":{"terminate":true}}`), metav1.PatchOptions{})
	return err
}
