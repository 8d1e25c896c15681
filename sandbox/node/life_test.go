package node

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

func TestLife(t *testing.T) {
	tests := map[string]struct {
		pod   *corev1.Pod
		speed float64
		until time.Duration // 30 s when zero
		del   time.Duration
		fail  error
		want  []string
	}{
		"a server is created, runs and is ready": {
			pod: podOf(),
			want: []string{
				"0s: Pending, ContainerCreating",
				"50ms: Running, ready, runs (start app)",
			},
		},
		"readiness waits for the probe's initial delay": {
			pod: podOf(probe(2)),
			want: []string{
				"0s: Pending, ContainerCreating",
				"50ms: Running, runs (start app)",
				"2.05s: Running, ready, runs",
			},
		},
		"the annotation outdoes the probe": {
			pod: podOf(probe(20), annotate("ready-after", "1500ms")),
			want: []string{
				"0s: Pending, ContainerCreating",
				"50ms: Running, runs (start app)",
				"1.55s: Running, ready, runs",
			},
		},
		"speed divides every delay": {
			pod: podOf(probe(20)), speed: 10,
			want: []string{
				"0s: Pending, ContainerCreating",
				"5ms: Running, runs (start app)",
				"2.005s: Running, ready, runs",
			},
		},
		"readiness flaps for a while": {
			pod: podOf(annotate("unready-after", "5s", "unready-for", "3s")),
			want: []string{
				"0s: Pending, ContainerCreating",
				"50ms: Running, ready, runs (start app)",
				"5.05s: Running, runs",
				"8.05s: Running, ready, runs",
			},
		},
		"without an end the pod stays not ready": {
			pod: podOf(annotate("unready-after", "5s")),
			want: []string{
				"0s: Pending, ContainerCreating",
				"50ms: Running, ready, runs (start app)",
				"5.05s: Running, runs",
			},
		},
		"never-ready means never": {
			pod: podOf(annotate("never-ready", "true")),
			want: []string{
				"0s: Pending, ContainerCreating",
				"50ms: Running, runs (start app)",
			},
		},
		"a duration that cannot be read counts as absent": {
			pod: podOf(annotate("ready-after", "soon", "dies-after", "-3s")),
			want: []string{
				"0s: Pending, ContainerCreating",
				"50ms: Running, ready, runs (start app)",
			},
		},
		"a dying server restarts at once, then after the back-off": {
			pod: podOf(annotate("dies-after", "4s")), until: 20 * time.Second,
			want: []string{
				"0s: Pending, ContainerCreating",
				"50ms: Running, ready, runs (start app)",
				"4.05s: Running, ready, runs, restarts 1 (stop app, start app)",
				"8.05s: Running, CrashLoopBackOff, restarts 1 (stop app)",
				"18.05s: Running, ready, runs, restarts 2 (start app)",
			},
		},
		"an unknown command crashes with a growing back-off": {
			pod: podOf(runs("/server")), until: 2 * time.Minute,
			want: []string{
				"0s: Pending, ContainerCreating",
				"50ms: Running, CrashLoopBackOff, restarts 1 (start app, stop app, start app, stop app)",
				"10.05s: Running, CrashLoopBackOff, restarts 2 (start app, stop app)",
				"30.05s: Running, CrashLoopBackOff, restarts 3 (start app, stop app)",
				"1m10.05s: Running, CrashLoopBackOff, restarts 4 (start app, stop app)",
			},
		},
		"a bad image is never pulled": {
			pod: podOf(image("penstock/demo:v2-bad")),
			want: []string{
				"0s: Pending, ErrImagePull",
				"200ms: Pending, ImagePullBackOff",
			},
		},
		"a workload that cannot start is a create error": {
			pod: podOf(), fail: errors.New("no port"),
			want: []string{
				"0s: Pending, ContainerCreating",
				"50ms: Pending, CreateContainerError (start app)",
			},
		},
		"a job that succeeds": {
			pod: podOf(policy(corev1.RestartPolicyNever), runs("sh", "-c", "sleep 1; true")),
			want: []string{
				"0s: Pending, ContainerCreating",
				"50ms: Running, ready, runs (start app)",
				"1.05s: Succeeded, exit 0 (stop app)",
			},
		},
		"a job that fails": {
			pod: podOf(policy(corev1.RestartPolicyNever), runs("sh", "-c", "exit 3")),
			want: []string{
				"0s: Pending, ContainerCreating",
				"50ms: Failed, exit 3 (start app, stop app)",
			},
		},
		"OnFailure restarts a failure only": {
			pod: podOf(policy(corev1.RestartPolicyOnFailure), runs("sh", "-c", "sleep 1; exit 3")), until: 5 * time.Second,
			want: []string{
				"0s: Pending, ContainerCreating",
				"50ms: Running, ready, runs (start app)",
				"1.05s: Running, ready, runs, restarts 1 (stop app, start app)",
				"2.05s: Running, CrashLoopBackOff, restarts 1 (stop app)",
			},
		},
		"init containers come first": {
			pod: podOf(initContainer("init", false, "sleep", "2")),
			want: []string{
				"0s: Pending, ContainerCreating, PodInitializing",
				"50ms: Pending, runs, PodInitializing (start init)",
				"2.05s: Pending, exit 0, ContainerCreating (stop init)",
				"2.1s: Running, ready, exit 0, runs (start app)",
			},
		},
		"a failed init container fails the pod that is not restarted": {
			pod: podOf(initContainer("init", false, "false"), policy(corev1.RestartPolicyNever)),
			want: []string{
				"0s: Pending, ContainerCreating, PodInitializing",
				"50ms: Failed, exit 1, PodInitializing (start init, stop init)",
			},
		},
		"a sidecar runs on and ends with the job": {
			pod: podOf(initContainer("side", true), policy(corev1.RestartPolicyNever), runs("sleep", "1")),
			want: []string{
				"0s: Pending, ContainerCreating, PodInitializing",
				"50ms: Pending, runs, ContainerCreating (start side)",
				"100ms: Running, ready, runs, runs (start app)",
				"1.1s: Succeeded, exit 0, exit 0 (stop app, stop side)",
			},
		},
		"a deleted pod without a hook ends at once": {
			pod: podOf(), del: 3 * time.Second,
			want: []string{
				"0s: Pending, ContainerCreating",
				"50ms: Running, ready, runs (start app)",
				"3s: Succeeded, exit 0, removed (drain app, stop app)",
			},
		},
		"preStop keeps it serving": {
			pod: podOf(sleepBeforeStop(5)), del: 3 * time.Second,
			want: []string{
				"0s: Pending, ContainerCreating",
				"50ms: Running, ready, runs (start app)",
				"3s: Running, ready, runs (drain app)",
				"8s: Succeeded, exit 0, removed (stop app)",
			},
		},
		"the grace period cuts preStop short": {
			pod: podOf(sleepBeforeStop(50), grace(2)), del: 3 * time.Second,
			want: []string{
				"0s: Pending, ContainerCreating",
				"50ms: Running, ready, runs (start app)",
				"3s: Running, ready, runs (drain app)",
				"5s: Succeeded, exit 0, removed (stop app)",
			},
		},
		"a sleep is ended by the signal": {
			pod: podOf(runs("sleep", "1000")), del: 3 * time.Second,
			want: []string{
				"0s: Pending, ContainerCreating",
				"50ms: Running, ready, runs (start app)",
				"3s: Failed, exit 143, removed (drain app, stop app)",
			},
		},
		"a pod deleted before its start never starts": {
			pod: podOf(), del: 20 * time.Millisecond,
			want: []string{
				"0s: Pending, ContainerCreating",
				"20ms: Failed, ContainerCreating, removed",
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			until, speed := test.until, test.speed
			if until == 0 {
				until = 30 * time.Second
			}
			if speed == 0 {
				speed = 1
			}
			got := tell(test.pod, speed, until, test.del, test.fail)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestTransitionTimesChangeWithTheConditionOnly(t *testing.T) {
	pod := podOf(probe(2))
	h := &hostLog{}
	l := newLife(epoch, pod, 1)
	at := func(d time.Duration) time.Time {
		now := epoch.Add(d)
		l.advance(now, pod, h)
		for _, c := range l.status(now, pod, "10.0.0.9", "10.0.0.1").Conditions {
			if c.Type == corev1.PodReady {
				return c.LastTransitionTime.Time
			}
		}
		return time.Time{}
	}
	at(0)
	if got := at(time.Second); !got.Equal(epoch) {
		t.Errorf("not ready since %v, want since %v", got, epoch)
	}
	became := at(4 * time.Second)
	if want := epoch.Add(4 * time.Second); !became.Equal(want) {
		t.Errorf("ready since %v, want since %v", became, want)
	}
	// The pod as seen by the node still says not ready: its own memory counts.
	if got := at(9 * time.Second); !got.Equal(became) {
		t.Errorf("ready since %v after a second look, want since %v", got, became)
	}
}

func TestReadinessGateKeepsTheServingPodNotReady(t *testing.T) {
	pod := podOf()
	pod.Spec.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: "example.com/target"}}
	h := &hostLog{}
	l := newLife(epoch, pod, 1)
	l.advance(epoch, pod, h)
	l.advance(epoch.Add(time.Minute), pod, h)
	now := epoch.Add(time.Minute)
	if got, want := summary(l.status(now, pod, "", "")), "Running, runs"; got != want {
		t.Errorf("with a closed gate: %q, want %q", got, want)
	}
	pod.Status.Conditions = []corev1.PodCondition{{Type: "example.com/target", Status: corev1.ConditionTrue}}
	if got, want := summary(l.status(now, pod, "", "")), "Running, ready, runs"; got != want {
		t.Errorf("with an open gate: %q, want %q", got, want)
	}
}

func TestAddressesAreUniqueAndReusedLate(t *testing.T) {
	a, err := newAddresses("10.1.2.0/24")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for range 253 { // 256 less network, node and broadcast
		ip, err := a.take()
		if err != nil {
			t.Fatalf("after %d addresses: %v", len(seen), err)
		}
		if seen[ip.String()] || ip == a.host() {
			t.Fatalf("%s was handed out twice", ip)
		}
		seen[ip.String()] = true
	}
	if ip, err := a.take(); err == nil {
		t.Fatalf("a full range gave %s", ip)
	}
	for _, cidr := range []string{"", "10.0.0.0", "fd00::/64", "10.0.0.0/30"} {
		if _, err := newAddresses(cidr); err == nil {
			t.Errorf("range %q was accepted", cidr)
		}
	}
}

func TestAddrFindsTheWorkloadOfThePort(t *testing.T) {
	a, err := newAddresses("10.1.0.0/16")
	if err != nil {
		t.Fatal(err)
	}
	ip, err := a.take()
	if err != nil {
		t.Fatal(err)
	}
	check := func(port int32, want string, wantOK bool) {
		t.Helper()
		if got, ok := a.find(ip.String(), port); got != want || ok != wantOK {
			t.Errorf("find(%d) = %q, %v, want %q, %v", port, got, ok, want, wantOK)
		}
	}
	check(80, "", false)
	a.open(ip, endpoint{container: "web", ports: []int32{80}, addr: "127.0.0.1:1"})
	check(80, "127.0.0.1:1", true)
	check(81, "127.0.0.1:1", true)
	a.open(ip, endpoint{container: "admin", ports: []int32{90}, addr: "127.0.0.1:2"})
	check(90, "127.0.0.1:2", true)
	check(81, "", false)
	a.close(ip, "web")
	check(80, "127.0.0.1:2", true)
	a.release(ip)
	check(90, "", false)
	if _, ok := a.find("localhost", 80); ok {
		t.Error("a name was taken for an address")
	}
}
