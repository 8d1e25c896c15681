package app

import (
	"context"
	"errors"
	"fmt"
	"os"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	kubeevent "sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/analysis"
	"github.com/penstock-io/penstock/internal/event"
	"github.com/penstock-io/penstock/internal/experiment"
	"github.com/penstock-io/penstock/internal/kube"
	"github.com/penstock-io/penstock/internal/loop"
	"github.com/penstock-io/penstock/internal/metric"
	"github.com/penstock-io/penstock/internal/metric/outbound"
	"github.com/penstock-io/penstock/internal/notify"
	"github.com/penstock-io/penstock/internal/rollout"
	stepplugin "github.com/penstock-io/penstock/internal/step/plugin"
	"github.com/penstock-io/penstock/internal/traffic/smi"
)

// +kubebuilder:rbac:groups=coordination.k8s.io,namespace=penstock-system,resources=leases,verbs=get;create;update

// App is one controller, put together and not yet running.
type App struct {
	options Options
	manager manager.Manager
	events  *event.Outbox
	pool    *kube.Pool
	plugins *kube.Plugins
	// courier delivers notifications.
	courier *notify.Courier
	// programs are plugins, which end with this one.
	programs programs
}

// New puts a controller together. It asks the cluster nothing yet but which kinds it
// serves; an error names the part that cannot be made.
func New(o Options) (*App, error) {
	if o.RESTConfig == nil {
		return nil, errors.New("make the controller: RESTConfig is missing")
	}
	if err := (smi.Options{Version: o.SMIVersion}).Check(); err != nil {
		return nil, fmt.Errorf("make the controller: %w", err)
	}
	o = o.withDefaults()
	a := &App{options: o}
	var err error
	authors := &kube.Authors{}
	if a.manager, err = newManager(o, authors); err != nil {
		return nil, err
	}
	if err := a.assemble(authors); err != nil {
		return nil, err
	}
	return a, nil
}

func newManager(o Options, authors *kube.Authors) (manager.Manager, error) {
	scheme, err := kube.NewScheme()
	if err != nil {
		return nil, err
	}
	config := rest.CopyConfig(o.RESTConfig)
	config.QPS, config.Burst = o.QPS, o.Burst
	// The API server compresses watches too, one small event at a time: that costs both
	// sides more than the bytes between them are worth.
	config.DisableCompression = true
	config.UserAgent = kube.Manager // which names us in metadata.managedFields
	grace := shutdownGrace
	m, err := manager.New(config, manager.Options{
		Scheme: scheme, Logger: o.Logger, Cache: kube.CacheOptions(o.Namespace, o.InstanceID, authors),
		Metrics: metricsserver.Options{BindAddress: o.MetricsAddress}, HealthProbeBindAddress: o.HealthAddress,
		PprofBindAddress: o.PprofAddress,
		LeaderElection:   o.LeaderElection, LeaderElectionID: o.lease(), LeaderElectionNamespace: o.LeaseNamespace,
		LeaseDuration: &o.LeaseDuration, RenewDeadline: &o.RenewDeadline, RetryPeriod: &o.RetryPeriod,
		LeaderElectionReleaseOnCancel: true, GracefulShutdownTimeout: &grace,
	})
	if err != nil {
		return nil, fmt.Errorf("make the manager: %w", err)
	}
	err = errors.Join(m.AddHealthzCheck("ping", healthz.Ping), m.AddReadyzCheck("ping", healthz.Ping))
	return m, err
}

// assemble makes the controllers and wires them to the manager.
func (a *App) assemble(authors *kube.Authors) error {
	o, m := a.options, a.manager
	series, err := loop.NewMetrics(metrics.Registry)
	if err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	if a.events, err = newEvents(m, o, series); err != nil {
		return err
	}
	written := &loop.Record{Cache: m.GetCache(), Live: m.GetAPIReader(), Selectors: kube.Selectors(o.InstanceID), Lag: series.Lag, Now: o.Now}
	clients := kube.Clients{Reader: m.GetCache(), Live: m.GetAPIReader(), Writer: written.Client(m.GetClient()), Plain: m.GetClient()}
	secrets := kube.SecretReader(clients.Live, ownNamespace(os.Getenv, o.LeaseNamespace))
	a.programs = newPrograms(clients.Live, ownNamespace(os.Getenv, o.LeaseNamespace), secrets, o.Logger)
	rollouts, watcher, err := a.rollouts(clients, authors)
	if err != nil {
		return err
	}
	told := make(chan kubeevent.GenericEvent)
	measured := make(chan kubeevent.GenericEvent)
	notices, err := a.notices(watcher, measured, told)
	if err != nil {
		return err
	}
	rollouts.Notices = notices
	rolloutLoop := &loop.Controller[kube.Seen, rollout.Plan]{
		Name: "rollout", Observe: rollouts.Observe, Decide: rollouts.Decide, Apply: rollouts.Apply, Explain: rollouts.Explain,
		Writer: clients.Writer, Subresource: true, Record: written, Events: a.events, Metrics: series, Now: o.Now, Resync: o.Resync,
	}
	if err := a.measuring(clients, secrets, measured); err != nil {
		return err
	}
	runs := &kube.Runs{Clients: clients, Pool: a.pool, Notices: notices}
	runLoop := &loop.Controller[kube.RunSeen, analysis.Plan]{
		Name: "analysis", Observe: runs.Observe, Decide: runs.Decide, Apply: runs.Apply, Explain: runs.Explain,
		Writer: clients.Writer, Record: written, Events: a.events, Metrics: series, Now: o.Now, Resync: o.Resync,
	}
	experiments := kube.NewExperiments(clients)
	experiments.Events, experiments.Namespaced, experiments.Notices = a.events, watcher.Namespaced, notices
	experimentLoop := &loop.Controller[kube.ExperimentSeen, experiment.Plan]{
		Name: "experiment", Observe: experiments.Observe, Decide: experiments.Decide, Apply: experiments.Apply, Explain: experiments.Explain,
		Writer: clients.Writer, Record: written, Events: a.events, Metrics: series, Now: o.Now, Resync: o.Resync,
	}
	return errors.Join(
		watcher.AddRollouts(m, rolloutLoop, o.RolloutWorkers),
		watcher.AddRuns(m, runLoop, o.AnalysisWorkers, measured),
		watcher.AddExperiments(m, experimentLoop, o.ExperimentWorkers, told),
		watcher.AddServices(m, &kube.Services{Clients: clients}, o.ServiceWorkers),
		m.Add(manager.RunnableFunc(a.measure)),
		m.Add(manager.RunnableFunc(func(ctx context.Context) error {
			rollouts.Sweep(ctx, o.Namespace)
			return nil
		})),
	)
}

// rollouts makes what observes and applies Rollouts, with its routers, its step plugins and
// its watches.
func (a *App) rollouts(clients kube.Clients, authors *kube.Authors) (*kube.Rollouts, *kube.Watcher, error) {
	o, m := a.options, a.manager
	var watcher *kube.Watcher
	routers := append(o.Routers(clients.Reader, clients.Writer), pluginRouting(a.programs.router, o, &watcher))
	if err := kube.AddIndexes(context.Background(), m.GetFieldIndexer(), kube.Indexes(routers)); err != nil {
		return nil, nil, err
	}
	watcher = kube.NewWatcher(m.GetCache(), m.GetRESTMapper(), routers)
	watcher.Namespaced, watcher.Authors = o.Namespace != "", authors
	var err error
	if watcher.Sets, err = kube.NewSetCache(m, o.Namespace); err != nil {
		return nil, nil, err
	}
	r := kube.NewRollouts(clients)
	if r.Durations, err = kube.NewDurations(metrics.Registry); err != nil {
		return nil, nil, fmt.Errorf("register metrics: %w", err)
	}
	if r.Drifts, err = kube.NewDrifts(metrics.Registry, authors); err != nil {
		return nil, nil, fmt.Errorf("register metrics: %w", err)
	}
	r.Routers, r.Events, r.Watch, r.Namespaced, r.Sets = routers, a.events, watcher.Ensure, watcher.Namespaced, watcher.Sets
	if err := o.verify(r, watcher); err != nil {
		return nil, nil, err
	}
	a.plugins = kube.NewPlugins(o.PluginWorkers, o.Now)
	a.plugins.Steps, a.plugins.Wake = o.StepPlugins, watcher.Wake
	if a.plugins.Steps == nil {
		a.plugins.Steps = stepplugin.New(a.programs.step)
	}
	r.Plugins = a.plugins
	return r, watcher, nil
}

// measuring makes the pool that measures; measured gets the runs that have a measurement.
func (a *App) measuring(clients kube.Clients, secrets metric.SecretReader, measured chan<- kubeevent.GenericEvent) error {
	o, m := a.options, a.manager
	a.pool = kube.NewPool(clients.Live, o.MeasureWorkers, o.Now)
	a.pool.Timeout, a.pool.OnMeasurement = o.MeasureTimeout, o.OnMeasurement
	jobs, err := jobs(m.GetConfig(), m.GetHTTPClient(), os.Getenv)
	if err != nil {
		return err
	}
	a.pool.Providers = o.Providers(Sources{
		Jobs: jobs, Client: outbound.New(guard(o.RESTConfig, o.MetricNetworks, os.Getenv)), Env: os.Getenv,
		Secrets: secrets, PrometheusAddress: o.PrometheusAddress, Plugins: a.programs.metric, AWS: o.aws,
	})
	a.pool.Wake = func(ctx context.Context, k loop.Key) {
		wake(ctx, measured, &v1alpha1.AnalysisRun{ObjectMeta: metav1.ObjectMeta{Namespace: k.Namespace, Name: k.Name}})
	}
	return nil
}

// measure lets the pools live as long as this process leads.
func (a *App) measure(ctx context.Context) error {
	<-ctx.Done()
	a.courier.Close()
	a.pool.Close()
	a.plugins.Close()
	a.programs.close()
	a.closeVerifier()
	return nil
}

// verify lets AWS answer for the load balancers of Rollouts, if it is to be asked.
func (o Options) verify(rollouts *kube.Rollouts, watcher *kube.Watcher) (err error) {
	if o.verifier == nil {
		return nil
	}
	o.verifier.Wake, rollouts.TargetGroups = watcher.Wake, o.verifier
	rollouts.Binding, err = binding(o.BindingVersion)
	return err
}

// binding is the kind TargetGroupBinding of a version, "group/version"; "" means the default.
func binding(version string) (schema.GroupVersionKind, error) {
	if version == "" {
		return kube.DefaultBinding, nil
	}
	gv, err := schema.ParseGroupVersion(version)
	if err != nil || gv.Group == "" || gv.Version == "" {
		return schema.GroupVersionKind{}, fmt.Errorf("version %q of TargetGroupBinding: want a group and a version, such as %s", version, kube.DefaultBinding.GroupVersion())
	}
	return gv.WithKind(kube.DefaultBinding.Kind), nil
}

func (a *App) closeVerifier() {
	if v := a.options.verifier; v != nil {
		v.Close()
	}
}

// wake passes an object on to a queue, until the context ends.
func wake(ctx context.Context, to chan<- kubeevent.GenericEvent, o client.Object) {
	select {
	case to <- kubeevent.GenericEvent{Object: o}:
	case <-ctx.Done():
	}
}

// Run works until the context ends, and then finishes the passes that are under way,
// gives the lease back and returns nil. When the lease is lost it returns an error at
// once: another controller may be leading already, so the process must end.
func (a *App) Run(ctx context.Context) error {
	defer a.events.Close()
	defer a.programs.close()
	defer a.pool.Close()
	defer a.plugins.Close()
	defer a.closeVerifier()
	defer a.courier.Close()
	if err := a.manager.Start(ctx); err != nil {
		return fmt.Errorf("run the controller: %w", err)
	}
	return nil
}

// Client reads the controller's caches and writes to its cluster, for those who run an
// App in their own process.
func (a *App) Client() client.Client { return a.manager.GetClient() }

// Elected is closed once this controller leads.
func (a *App) Elected() <-chan struct{} { return a.manager.Elected() }
