package rollout

// trial lays a canary with one experiment step over the healthy spec.
func trial(before, templates string) string {
	return routedSteps(istio, before+"{experiment: {templates: ["+templates+"]}}")
}

const trialPath = "spec.strategy.canary.steps[0].experiment.templates"

// numberRows are what nobody has published: numbers and names that the published
// controller takes and cannot run (core.md §1.7.2, end).
var numberRows = map[string]row{
	"more pods than can be counted": {
		bad: "replicas: 268435457", good: "replicas: 268435456",
		want: []string{"spec.replicas: Invalid value: 268435457: must be less than or equal to 268435456"},
	},
	"a preview of fewer than no pods": {
		bad:  "strategy: {canary: null, blueGreen: {activeService: a, previewReplicaCount: -1}}",
		good: "strategy: {canary: null, blueGreen: {activeService: a, previewReplicaCount: 0}}",
		want: []string{"spec.strategy.blueGreen.previewReplicaCount: Invalid value: -1: must be greater than or equal to 0"},
	},
	"a surge in words": {
		bad: "strategy: {canary: {maxSurge: none}}", good: routed(", maxSurge: none", istio),
		want: []string{`spec.strategy.canary.maxSurge: Invalid value: "none": must be a whole number, or a percentage such as 25%`},
	},
	"an unavailability in words": {
		bad: "strategy: {canary: {maxUnavailable: 2.5%}}", good: "strategy: {canary: null, blueGreen: {activeService: a, maxUnavailable: none}}",
		want: []string{`spec.strategy.canary.maxUnavailable: Invalid value: "2.5%": must be a whole number, or a percentage such as 25%`},
	},
	"a surge of more than a number can hold": {
		bad: `strategy: {canary: {maxSurge: "99999999999999999999%"}}`, good: `strategy: {canary: {maxSurge: "2147483648%"}}`,
		want: []string{`spec.strategy.canary.maxSurge: Invalid value: "99999999999999999999%": must be a whole number, or a percentage such as 25%`},
	},
	"weights that add up to nothing": {
		bad: routed(", steps: null", "plugins: {x/y: {}}, maxTrafficWeight: 0"), good: routed(", steps: null", "plugins: {x/y: {}}, maxTrafficWeight: 1"),
		want: []string{"spec.strategy.canary.trafficRouting.maxTrafficWeight: Invalid value: 0: must be greater than 0"},
	},
	"weights that add up to more than can be counted": {
		bad: routed("", "plugins: {x/y: {}}, maxTrafficWeight: 268435457"), good: routed("", "plugins: {x/y: {}}, maxTrafficWeight: 268435456"),
		want: []string{"spec.strategy.canary.trafficRouting.maxTrafficWeight: Invalid value: 268435457: must be less than or equal to 268435456"},
	},
	"a canary of fewer than no pods": {
		bad: routedSteps(istio, "{setCanaryScale: {replicas: -1}}"), good: routedSteps(istio, "{setCanaryScale: {replicas: -1, matchTrafficWeight: true}}"),
		want: []string{"spec.strategy.canary.steps[0].setCanaryScale.replicas: Invalid value: -1: must be greater than or equal to 0"},
	},
	"an experiment's template without a name": {
		bad: trial("", `{name: "", specRef: canary}`), good: trial("", "{name: a, specRef: canary}"),
		want: []string{trialPath + "[0].name: Required value"},
	},
	"an experiment's templates of one name": {
		bad: trial("", "{name: a, specRef: canary}, {name: a, specRef: stable}"), good: trial("", "{name: a, specRef: canary}, {name: b, specRef: stable}"),
		want: []string{trialPath + `[1].name: Duplicate value: "a"`},
	},
	"an experiment of unknown pods": {
		bad: trial("", "{name: a, specRef: Canary}"), good: trial("", "{name: a, specRef: canary}"),
		want: []string{trialPath + `[0].specRef: Invalid value: "Canary": must be canary or stable`},
	},
	"an experiment of fewer than no pods": {
		bad: trial("", "{name: a, specRef: canary, replicas: -1}"), good: trial("", "{name: a, specRef: canary, replicas: 0}"),
		want: []string{trialPath + "[0].replicas: Invalid value: -1: must be greater than or equal to 0"},
	},
	"an experiment of less than no traffic": {
		bad: trial("", "{name: a, specRef: canary, weight: -1}, {name: b, specRef: canary, weight: 100}"), good: trial("", "{name: a, specRef: canary, weight: 0}"),
		want: []string{trialPath + "[0].weight: Invalid value: -1: must be greater than or equal to 0"},
	},
	"an experiment of more traffic than there is": {
		bad:  trial("{setWeight: 50}, ", "{name: a, specRef: canary, weight: 25}, {name: b, specRef: canary, weight: 26}"),
		good: trial("{setWeight: 50}, ", "{name: a, specRef: canary, weight: 25}, {name: b, specRef: canary, weight: 25}"),
		want: []string{"spec.strategy.canary.steps[1].experiment.templates[1].weight: Invalid value: 26: the weights of the experiment and the canary's 50 add up to more than 100"},
	},
}
