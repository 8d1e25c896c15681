package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/controller-runtime/pkg/client"
	kubeevent "sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/kube"
	"github.com/penstock-io/penstock/internal/loop"
	"github.com/penstock-io/penstock/internal/notify"
	"github.com/penstock-io/penstock/internal/rollout"
)

// notices makes what has people told; runs and experiments get those of which a message has fared
// somehow.
func (a *App) notices(w *kube.Watcher, runs, experiments chan<- kubeevent.GenericEvent) (*kube.Notices, error) {
	o := a.options
	series, err := newSendings(metrics.Registry)
	if err != nil {
		return nil, err
	}
	c, err := dynamic.NewForConfigAndClient(a.manager.GetConfig(), a.manager.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("make the client of notifications: %w", err)
	}
	ctx, end := context.WithCancel(context.Background())
	book := &notify.Book{}
	a.courier = notify.NewCourier(book, func(kind string, key loop.Key) {
		meta := metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}
		switch kind {
		case "Rollout":
			w.Wake(ctx, key)
		case "AnalysisRun":
			wake(ctx, runs, &v1alpha1.AnalysisRun{ObjectMeta: meta})
		case "Experiment":
			wake(ctx, experiments, &v1alpha1.Experiment{ObjectMeta: meta})
		}
	}, o.Now)
	a.courier.Sent = series.sent
	if o.DataDir != "" {
		if a.courier.Journal, err = notify.OpenJournal(filepath.Join(o.DataDir, "notifications")); err != nil {
			o.Logger.Error(err, "notifications that were sent right before the end of a process may be sent again")
		}
	}
	a.courier.Trouble = func(l *notify.Letter, text string) {
		meta := metav1.ObjectMeta{Namespace: l.Key.Namespace, Name: l.Key.Name, UID: l.UID}
		var about client.Object = &v1alpha1.Rollout{ObjectMeta: meta}
		switch l.Kind {
		case "AnalysisRun":
			about = &v1alpha1.AnalysisRun{ObjectMeta: meta}
		case "Experiment":
			about = &v1alpha1.Experiment{ObjectMeta: meta}
		}
		a.events.Event(about, corev1.EventTypeWarning, string(rollout.NotificationFailed), text)
	}
	own := ownNamespace(os.Getenv, o.LeaseNamespace)
	source := kube.NewNoticeSource(c, book, own, o.noticeNamespaces(own), a.courier.Retry, o.Logger)
	err = a.manager.Add(manager.RunnableFunc(func(ctx context.Context) error {
		defer end()
		source.Run(ctx)
		return nil
	}))
	return kube.NewNotices(book, a.courier, source.Ready(), o.Now), err
}

// noticeNamespaces are where configurations of notifications are looked for.
func (o Options) noticeNamespaces(own string) []string {
	switch {
	case !o.SelfServiceNotifications:
		return []string{own}
	case o.Namespace == "" || o.Namespace == own:
		return []string{o.Namespace}
	}
	return []string{own, o.Namespace}
}

// sendings are the published series of notifications (surfaces.md §3.10), and what those lack: to
// which service, and at which trigger.
type sendings struct {
	success, failure *prometheus.CounterVec
	took             *prometheus.HistogramVec
}

func newSendings(r prometheus.Registerer) (*sendings, error) {
	labels := []string{"namespace", "name", "type", "reason", "service", "trigger"}
	s := &sendings{
		success: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "notification_send_success", Help: "Notifications sent."}, labels),
		failure: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "notification_send_error", Help: "Tries to send a notification that failed."}, labels),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "notification_send", Help: "Time that a try to send a notification took, in seconds.",
			Buckets: []float64{.01, .1, 1, 10, 60}}, []string{"namespace", "name"}),
	}
	if err := errors.Join(loop.Keep(r, &s.success), loop.Keep(r, &s.failure), loop.Keep(r, &s.took)); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return s, nil
}

func (s *sendings) sent(l *notify.Letter, took time.Duration, err error) {
	s.took.WithLabelValues(l.Key.Namespace, l.Key.Name).Observe(took.Seconds())
	series := s.success
	if err != nil {
		series = s.failure
	}
	series.WithLabelValues(l.Key.Namespace, l.Key.Name, l.Type, l.Reason, l.Service, l.Trigger).Inc()
}
