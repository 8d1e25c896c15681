package node

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func TestADeploymentBecomesAvailableAndIsServed(t *testing.T) {
	ns := space(t)
	d := deployment("web", 3, "penstock/demo:v1")
	d.Spec.MinReadySeconds = 1
	if _, err := client.AppsV1().Deployments(ns).Create(t.Context(), d, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": "web"}, Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8080)}}},
	}
	if _, err := client.CoreV1().Services(ns).Create(t.Context(), service, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	awaitAvailable(t, ns, "web", 3)
	within(t, 10*time.Second, func() error {
		ready := readyEndpoints(t, ns, "web")
		if len(ready) != 3 {
			return fmt.Errorf("%d endpoints are ready, want 3", len(ready))
		}
		for ip, pod := range ready {
			addr, ok := node.Addr(ip, 8080)
			if !ok || !strings.HasPrefix(addr, "127.0.0.1:") {
				return fmt.Errorf("Addr(%s) = %q, %v", ip, addr, ok)
			}
			if got, err := fetch(addr); err != nil || got != pod {
				return fmt.Errorf("%s answers %q, %v, want %q", addr, got, err, pod)
			}
		}
		return nil
	})
}

// readyEndpoints maps the addresses of a service's ready endpoints to their pods.
func readyEndpoints(t *testing.T, ns, service string) map[string]string {
	t.Helper()
	slices, err := client.DiscoveryV1().EndpointSlices(ns).List(t.Context(), metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + service})
	if err != nil {
		t.Fatal(err)
	}
	ready := map[string]string{}
	for _, s := range slices.Items {
		for _, e := range s.Endpoints {
			if e.Conditions.Ready != nil && *e.Conditions.Ready {
				ready[e.Addresses[0]] = e.TargetRef.Name
			}
		}
	}
	return ready
}

func fetch(addr string) (string, error) {
	c := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := c.Get("http://" + addr)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	return string(body), err
}

func TestReadinessIsDelayed(t *testing.T) {
	ns := space(t)
	pod := named("slow", podOf(annotate("ready-after", "2s")))
	create(t, ns, pod)
	awaitSummary(t, ns, "slow", "Running, runs")
	awaitSummary(t, ns, "slow", "Running, ready, runs")
	got := get(t, ns, "slow")
	began := got.Status.ContainerStatuses[0].State.Running.StartedAt
	for _, c := range got.Status.Conditions {
		if c.Type == corev1.PodReady {
			if after := c.LastTransitionTime.Sub(began.Time); after < time.Second || after > 10*time.Second {
				t.Errorf("ready %v after the start, want about 2 s", after)
			}
		}
	}
	if got.Spec.NodeName != "sandbox" || !strings.HasPrefix(got.Status.PodIP, "10.244.") {
		t.Errorf("it is on node %q at %q", got.Spec.NodeName, got.Status.PodIP)
	}
}

func TestPodsThatCannotRunSaySo(t *testing.T) {
	ns := space(t)
	create(t, ns, named("crash", podOf(runs("/server"))))
	create(t, ns, named("pull", podOf(image("penstock/demo:v2-bad"))))
	create(t, ns, named("odd", podOf(image("penstock/demo:odd"))))
	awaitSummary(t, ns, "crash", "Running, CrashLoopBackOff, restarts 1")
	awaitSummary(t, ns, "pull", "Pending, ImagePullBackOff")
	awaitSummary(t, ns, "odd", "Pending, CreateContainerError")
	last := get(t, ns, "crash").Status.ContainerStatuses[0].LastTerminationState.Terminated
	if last == nil || last.ExitCode != 127 {
		t.Errorf("the last termination is %v, want code 127", last)
	}
}

func TestJobsEnd(t *testing.T) {
	ns := space(t)
	tests := map[string]struct {
		command []string
		want    batchv1.JobConditionType
	}{
		"fails":     {[]string{"sh", "-c", "sleep 1; exit 1"}, batchv1.JobFailed},
		"completes": {[]string{"true"}, batchv1.JobComplete},
	}
	for name, test := range tests {
		never := int32(0)
		job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: batchv1.JobSpec{
			BackoffLimit: &never,
			Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
				RestartPolicy: corev1.RestartPolicyNever,
				Containers:    []corev1.Container{{Name: "job", Image: "busybox:1", Command: test.command}},
			}},
		}}
		if _, err := client.BatchV1().Jobs(ns).Create(t.Context(), job, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range tests {
		within(t, 30*time.Second, func() error {
			job, err := client.BatchV1().Jobs(ns).Get(t.Context(), name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			for _, c := range job.Status.Conditions {
				if c.Type == test.want && c.Status == corev1.ConditionTrue {
					return nil
				}
			}
			return fmt.Errorf("job %s has conditions %v, want %s", name, job.Status.Conditions, test.want)
		})
	}
	// Its pods can be deleted though the Job controller holds them with a finalizer.
	if err := client.BatchV1().Jobs(ns).Delete(t.Context(), "fails", metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationForeground)}); err != nil {
		t.Fatal(err)
	}
	within(t, 30*time.Second, func() error {
		pods, err := client.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{LabelSelector: "batch.kubernetes.io/job-name=fails"})
		if err == nil && len(pods.Items) > 0 {
			err = fmt.Errorf("%d pods are left", len(pods.Items))
		}
		return err
	})
}

func TestPreStopKeepsThePodServing(t *testing.T) {
	ns := space(t)
	create(t, ns, named("bye", podOf(image("penstock/demo:v1"), sleepBeforeStop(3))))
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "bye"},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": "bye"}, Ports: []corev1.ServicePort{{Port: 80}}},
	}
	if _, err := client.CoreV1().Services(ns).Create(t.Context(), service, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	within(t, 20*time.Second, func() error {
		if n := len(readyEndpoints(t, ns, "bye")); n != 1 {
			return fmt.Errorf("%d endpoints are ready, want 1", n)
		}
		return nil
	})
	ip := get(t, ns, "bye").Status.PodIP
	deleted := time.Now()
	if err := client.CoreV1().Pods(ns).Delete(t.Context(), "bye", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	within(t, 2*time.Second, func() error {
		if n := len(readyEndpoints(t, ns, "bye")); n != 0 {
			return fmt.Errorf("%d endpoints are ready after the deletion, want none", n)
		}
		return nil
	})
	addr, ok := node.Addr(ip, 80)
	if !ok {
		t.Fatal("the pod has no address during its preStop hook")
	}
	if got, err := fetch(addr); err != nil || got != "bye" {
		t.Errorf("during its preStop hook the pod answers %q, %v", got, err)
	}
	within(t, 20*time.Second, func() error {
		_, err := client.CoreV1().Pods(ns).Get(t.Context(), "bye", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("the pod is still there (%v)", err)
	})
	if took := time.Since(deleted); took < 3*time.Second {
		t.Errorf("the pod went after %v, want at least the 3 s of its hook", took)
	}
	if addr, ok := node.Addr(ip, 80); ok {
		t.Errorf("the removed pod is still at %s", addr)
	}
}

func TestAForcedDeletionEndsTheWorkload(t *testing.T) {
	ns := space(t)
	create(t, ns, named("forced", podOf(image("penstock/demo:v1"), sleepBeforeStop(600), grace(600))))
	awaitSummary(t, ns, "forced", "Running, ready, runs")
	ip := get(t, ns, "forced").Status.PodIP
	if err := client.CoreV1().Pods(ns).Delete(t.Context(), "forced", *metav1.NewDeleteOptions(0)); err != nil {
		t.Fatal(err)
	}
	within(t, 20*time.Second, func() error {
		if addr, ok := node.Addr(ip, 80); ok {
			return fmt.Errorf("it still serves at %s", addr)
		}
		return nil
	})
}

func TestANamespaceFullOfPodsGoesAway(t *testing.T) {
	ns := space(t)
	if _, err := client.AppsV1().Deployments(ns).Create(t.Context(), deployment("web", 4, "penstock/demo:v1"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	awaitAvailable(t, ns, "web", 4)
	if err := client.CoreV1().Namespaces().Delete(t.Context(), ns, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	within(t, 60*time.Second, func() error {
		n, err := client.CoreV1().Namespaces().Get(t.Context(), ns, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it is still there (%v): %v", err, n.Status)
	})
}

func TestAnEvictionAgainstTheBudgetIsRefused(t *testing.T) {
	ns := space(t)
	if _, err := client.AppsV1().Deployments(ns).Create(t.Context(), deployment("web", 2, "nginx:1"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	all := intstr.FromInt32(2)
	budget := &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec:       policyv1.PodDisruptionBudgetSpec{MinAvailable: &all, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}},
	}
	if _, err := client.PolicyV1().PodDisruptionBudgets(ns).Create(t.Context(), budget, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	awaitAvailable(t, ns, "web", 2)
	within(t, 20*time.Second, func() error {
		b, err := client.PolicyV1().PodDisruptionBudgets(ns).Get(t.Context(), "web", metav1.GetOptions{})
		if err == nil && b.Status.CurrentHealthy != 2 {
			err = fmt.Errorf("%d pods are healthy, want 2", b.Status.CurrentHealthy)
		}
		return err
	})
	pods, err := client.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eviction := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pods.Items[0].Name, Namespace: ns}}
	if err := client.PolicyV1().Evictions(ns).Evict(t.Context(), eviction); !apierrors.IsTooManyRequests(err) {
		t.Errorf("evict: %v, want 429 too many requests", err)
	}
}

func TestAnAutoscalerWithoutMetricsSaysSo(t *testing.T) {
	ns := space(t)
	if _, err := client.AppsV1().Deployments(ns).Create(t.Context(), deployment("web", 1, "nginx:1"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	usage := int32(50)
	scaler := &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"},
			MaxReplicas:    3,
			Metrics: []autoscalingv2.MetricSpec{{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{
				Name: corev1.ResourceCPU, Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &usage},
			}}},
		},
	}
	scalers := client.AutoscalingV2().HorizontalPodAutoscalers(ns)
	if _, err := scalers.Create(t.Context(), scaler, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	within(t, 40*time.Second, func() error {
		s, err := scalers.Get(t.Context(), "web", metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, c := range s.Status.Conditions {
			if c.Type == autoscalingv2.ScalingActive && c.Reason == "FailedGetResourceMetric" {
				return nil
			}
		}
		return fmt.Errorf("it has conditions %v", s.Status.Conditions)
	})
}

// TestManyPods measures nothing by itself, but 150 pods have to be up within the
// minute that awaitAvailable gives them.
func TestManyPods(t *testing.T) {
	ns := space(t)
	began := time.Now()
	if _, err := client.AppsV1().Deployments(ns).Create(t.Context(), deployment("many", 150, "penstock/demo:v1"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	awaitAvailable(t, ns, "many", 150)
	t.Logf("150 pods were available after %v", time.Since(began).Round(time.Millisecond))
}

func TestTheNodeIsReady(t *testing.T) {
	within(t, 20*time.Second, func() error {
		n, err := client.CoreV1().Nodes().Get(t.Context(), "sandbox", metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, c := range n.Status.Conditions {
			if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue && len(n.Spec.Taints) == 0 {
				return nil
			}
		}
		return fmt.Errorf("it has conditions %v and taints %v", n.Status.Conditions, n.Spec.Taints)
	})
}
