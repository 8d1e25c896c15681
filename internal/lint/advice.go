package lint

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
)

// settle is how many seconds proxies may lag behind a route where no router confirms it:
// the controller's --settle, and what a Service needs beside it.
const settle = 2 + int32(traffic.ServiceSettle/1e9)

// adviceRules are about what the API accepts.
var adviceRules = []Rule{
	{ID: "inconclusive-limit", Severity: Advice, Title: "A metric that is measured repeatedly has an inconclusiveLimit",
		Why:    "Without one the first measurement that says nothing, such as one without data, stops the release until a person decides.",
		Repair: "set inconclusiveLimit to how many measurements may say nothing, for example 1", Check: checkInconclusive},
	{ID: "endless-pause", Severity: Advice, Title: "A pause ends",
		Why:    "A pause without a duration waits for a person. If nobody comes two versions serve for days, and the next release waits too.",
		Repair: "give the pause a duration or a timeout, or silence this rule and say who promotes", Check: checkPause},
	{ID: "unproven-step", Severity: Advice, Title: "An analysis comes after the first traffic",
		Why:    "Before the canary gets requests a query about it finds nothing, whatever the version is worth.",
		Repair: "put a setWeight above 0, or a setHeaderRoute or setMirrorRoute, before the analysis", Check: checkUnproven},
	{ID: "no-background-analysis", Severity: Advice, Title: "A canary is watched in the background",
		Why:    "Between its steps nothing measures the canary: a version that fails during a pause serves until the next analysis, or for ever.",
		Repair: "add spec.strategy.canary.analysis with the templates of the service", Check: checkBackground},
	{ID: "few-revisions", Severity: Advice, Title: "At least 3 old revisions are kept",
		Why:    "A rollback needs the ReplicaSet of a version that worked. With fewer than 3 a few failed releases push it out.",
		Repair: "set spec.revisionHistoryLimit to 3 or more, or leave it out for 10", Check: checkRevisions},
	{ID: "short-scale-down-delay", Severity: Advice, Title: "Old pods outlive the mesh's settle time",
		Why:    fmt.Sprintf("Proxies may go on using old pods for %d s after a switch. The controller waits for that as well; a delay below it only keeps no old pods for a quick way back.", settle),
		Repair: fmt.Sprintf("set scaleDownDelaySeconds to %d or more, or leave it out for 30", settle), Check: checkDelay},
	{ID: "blue-green-schema", Severity: Advice, Title: "Blue-green is not used where the pods change a schema",
		Why:    "In blue-green the old version serves while the new pods start. A schema that they change is changed under it, and switching back does not undo it.",
		Repair: "change the schema in a release of its own that both versions can live with, and silence this rule with that reason", Check: checkSchemaChange},
	{ID: "replicas-for-weight", Severity: Advice, Title: "There are enough pods for the smallest weight",
		Why:    "Without a router the share of pods is the share of requests: the canary gets at least one pod, and so a larger share than asked for.",
		Repair: "raise spec.replicas or the weight, or use a router in trafficRouting", Check: checkReplicas},
}

func checkInconclusive(_ *set, o *object, add report) {
	metrics, _, malformed, ok := metricsOf(o)
	if !ok || len(malformed) > 0 {
		return
	}
	for i, m := range metrics {
		if m.Interval != "" && m.InconclusiveLimit == nil && m.NoData == "" && m.Provider.Job == nil && len(m.Provider.Plugin) == 0 {
			add(fmt.Sprintf("spec.metrics[%d]", i), fmt.Sprintf("metric %s has no inconclusiveLimit", m.Name), "")
		}
	}
}

// rolloutOf gives the spec of a Rollout that could be read; nil for anything else.
func rolloutOf(o *object) *v1alpha1.RolloutSpec {
	r, is := o.typed.(*v1alpha1.Rollout)
	if !is || len(r.Spec.Malformed) > 0 {
		return nil
	}
	return &r.Spec
}

// canaryOf gives the canary of such a Rollout; nil for none.
func canaryOf(o *object) (*v1alpha1.RolloutSpec, *v1alpha1.CanaryStrategy) {
	spec := rolloutOf(o)
	if spec == nil {
		return nil, nil
	}
	return spec, spec.Strategy.Canary
}

func step(i int) string { return fmt.Sprintf("spec.strategy.canary.steps[%d]", i) }

func checkPause(_ *set, o *object, add report) {
	spec, c := canaryOf(o)
	if spec == nil {
		return
	}
	if c != nil {
		for i := range c.Steps {
			if p := c.Steps[i].Pause; p != nil && p.Duration == nil && p.Timeout == nil {
				add(step(i)+".pause", "the pause has no time limit", "")
			}
		}
	}
	if b := spec.Strategy.BlueGreen; b != nil && !b.AutoPromotionEnabledOrDefault() && b.AutoPromotionSeconds == 0 {
		add("spec.strategy.blueGreen.autoPromotionEnabled", "the wait for a promotion has no time limit",
			"set autoPromotionSeconds, or silence this rule and say who promotes")
	}
}

func checkUnproven(s *set, o *object, add report) {
	_, c := canaryOf(o)
	if c == nil {
		return
	}
	templates := s.templates(o)
	for i := range c.Steps {
		st := &c.Steps[i]
		if st.SetWeight != nil && *st.SetWeight > 0 || st.SetHeaderRoute != nil || st.SetMirrorRoute != nil || st.Experiment != nil || st.Plugin != nil {
			return
		}
		if st.Analysis == nil {
			continue
		}
		for _, ref := range st.Analysis.Templates {
			spec := templates.Namespaced[ref.TemplateName]
			if ref.ClusterScope {
				spec = templates.Cluster[ref.TemplateName]
			}
			for _, m := range spec.Metrics {
				if observes(&m.Provider) {
					add(step(i)+".analysis", fmt.Sprintf("metric %s of template %s is measured before the canary gets any traffic", m.Name, ref.TemplateName), "")
				}
			}
		}
	}
}

// observes reports a provider that only sees the requests of others; jobs, web calls and
// plugins may make their own.
func observes(p *v1alpha1.MetricProvider) bool {
	return p.Prometheus != nil || p.Datadog != nil || p.Wavefront != nil || p.NewRelic != nil || p.CloudWatch != nil ||
		p.Graphite != nil || p.Influxdb != nil || p.SkyWalking != nil || p.Kayenta != nil
}

func checkBackground(_ *set, o *object, add report) {
	if _, c := canaryOf(o); c != nil && c.Analysis == nil {
		add("spec.strategy.canary", "the canary has no background analysis", "")
	}
}

func checkRevisions(_ *set, o *object, add report) {
	if spec := rolloutOf(o); spec != nil && spec.RevisionHistoryLimit != nil && *spec.RevisionHistoryLimit >= 0 && *spec.RevisionHistoryLimit < 3 {
		add("spec.revisionHistoryLimit", fmt.Sprintf("%d old revisions are kept, fewer than 3", *spec.RevisionHistoryLimit), "")
	}
}

func checkDelay(_ *set, o *object, add report) {
	spec, c := canaryOf(o)
	if spec == nil {
		return
	}
	short := func(path string, seconds *int32) {
		if seconds != nil && *seconds >= 0 && *seconds < settle {
			add(path+".scaleDownDelaySeconds", fmt.Sprintf("the delay of %d s is shorter than the settle time of %d s", *seconds, settle), "")
		}
	}
	if c != nil && c.TrafficRouting != nil {
		short("spec.strategy.canary", c.ScaleDownDelaySeconds)
	}
	if b := spec.Strategy.BlueGreen; b != nil {
		short("spec.strategy.blueGreen", b.ScaleDownDelaySeconds)
	}
}

// changesSchema is how the usual tools are called.
var changesSchema = regexp.MustCompile(`(?i)\b(db-?)?migrat(e|es|ion|ions|or)\b|flyway|liquibase|alembic|atlas-migrate|schema-(update|change)`)

func checkSchemaChange(_ *set, o *object, add report) {
	spec := rolloutOf(o)
	if spec == nil || spec.Strategy.BlueGreen == nil {
		return
	}
	for i, c := range spec.Template.Spec.InitContainers {
		said := strings.Join(append([]string{c.Name, c.Image}, append(c.Command, c.Args...)...), " ")
		if word := changesSchema.FindString(said); word != "" {
			add(fmt.Sprintf("spec.template.spec.initContainers[%d]", i), fmt.Sprintf("init container %s seems to change a schema (%q)", c.Name, word), "")
		}
	}
}

func checkReplicas(_ *set, o *object, add report) {
	spec, c := canaryOf(o)
	if c == nil || c.TrafficRouting != nil || spec.Replicas == nil || *spec.Replicas < 1 {
		return // an autoscaler's number is not known here
	}
	for i := range c.Steps {
		w := c.Steps[i].SetWeight
		if w != nil && *w > 0 && int64(*w)*int64(*spec.Replicas) < 100 {
			add(step(i)+".setWeight", fmt.Sprintf("one of %d pods is %d %% of them, more than the weight of %d %%", *spec.Replicas, 100 / *spec.Replicas, *w), "")
			return
		}
	}
}
