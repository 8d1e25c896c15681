package rollout

// specRows are the rows of core.md §1.7.1 except no. 7.
var specRows = map[string]row{
	"1 replicas must not be negative": {
		bad: "replicas: -1", good: "replicas: 0",
		want: []string{"spec.replicas: Invalid value: -1: must be greater than or equal to 0"},
	},
	"2 a selector is required": {
		bad: "selector: null", good: "{selector: null, template: null, workloadRef: {kind: Deployment, name: web}}",
		want: []string{"spec.selector: Required value: Rollout has missing field '.spec.selector'"},
	},
	"3 the selector's labels must be well formed": {
		bad:  `{selector: {matchLabels: {app: "a b"}}, template: {metadata: {labels: {app: "ab"}}}}`,
		good: `{selector: {matchLabels: {app: "ab"}}, template: {metadata: {labels: {app: "ab"}}}}`,
		want: []string{"spec.selector.matchLabels: Invalid value: \"a b\": a valid label must be an empty string or consist of alphanumeric characters, " +
			"'-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is " +
			"'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"},
	},
	"3 the selector's expressions must be well formed": {
		bad:  `{selector: {matchExpressions: [{key: app, operator: Like, values: [web]}]}}`,
		good: `{selector: {matchExpressions: [{key: app, operator: In, values: [web]}]}}`,
		want: []string{`spec.selector.matchExpressions[0].operator: Invalid value: "Like": not a valid selector operator`},
	},
	"4 the selector must not be empty": {
		bad: "selector: {matchLabels: null}", good: "selector: {matchLabels: null, matchExpressions: [{key: app, operator: Exists}]}",
		want: []string{`spec.selector: Invalid value: {}: empty selector is invalid for deployment`},
	},
	"5 a template beside workloadRef must have no labels": {
		bad:  "{selector: null, workloadRef: {name: web}}",
		good: "{selector: null, workloadRef: {name: web}, template: {metadata: null}}",
		want: []string{"spec.template: Internal error: template must be empty for workload reference rollout"},
	},
	"6 the selector must be convertible": {
		bad:  "{workloadRef: {name: web}, template: null, selector: {matchLabels: null, matchExpressions: [{key: app, operator: Like}]}}",
		good: "{workloadRef: {name: web}, template: null, selector: {matchLabels: null, matchExpressions: [{key: app, operator: Exists}]}}",
		want: []string{`spec.selector: Invalid value: {"matchExpressions":[{"key":"app","operator":"Like"}]}: invalid label selector`},
	},
	"8 minReadySeconds must not be negative": {
		bad: "minReadySeconds: -1", good: "minReadySeconds: 0",
		want: []string{"spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0"},
	},
	"9 revisionHistoryLimit must not be negative": {
		bad: "revisionHistoryLimit: -1", good: "revisionHistoryLimit: 0",
		want: []string{"spec.revisionHistoryLimit: Invalid value: -1: must be greater than or equal to 0"},
	},
	"10 progressDeadlineSeconds must not be negative": {
		bad: "progressDeadlineSeconds: -1", good: "progressDeadlineSeconds: 1",
		want: []string{
			"spec.progressDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0",
			"spec.progressDeadlineSeconds: Invalid value: -1: must be greater than minReadySeconds",
		},
	},
	// Covers: edge 32.
	"11 the deadline must be above minReadySeconds": {
		bad: "{progressDeadlineSeconds: 30, minReadySeconds: 30}", good: "{progressDeadlineSeconds: 31, minReadySeconds: 30}",
		want: []string{"spec.progressDeadlineSeconds: Invalid value: 30: must be greater than minReadySeconds"},
	},
	"11 a deadline of 0 is always invalid": {
		bad: "progressDeadlineSeconds: 0", good: "progressDeadlineSeconds: null",
		want: []string{"spec.progressDeadlineSeconds: Invalid value: 0: must be greater than minReadySeconds"},
	},
	"12 a strategy is required": {
		bad: "strategy: {canary: null}", good: "strategy: {canary: {steps: null}}",
		want: []string{"spec.strategy.strategy: Required value: Rollout has missing field '.spec.strategy.canary or .spec.strategy.blueGreen'"},
	},
	"13 only one strategy is allowed": {
		bad: "strategy: {blueGreen: {activeService: a}}", good: "strategy: {canary: null, blueGreen: {activeService: a}}",
		want: []string{`spec.strategy.strategy: Invalid value: "canary, blueGreen": Multiple Strategies can not be listed`},
	},
}

// templateRows are the part of no. 7 of core.md §1.7.1 that is checked here.
var templateRows = map[string]row{
	"7 the template must have the selector's labels": {
		bad: "template: {metadata: {labels: {app: api}}}", good: "template: {metadata: {labels: {tier: front}}}",
		want: []string{"spec.template.metadata.labels: Invalid value: {\"app\":\"api\"}: `selector` does not match template `labels`"},
	},
	"7 the template's labels must be well formed": {
		bad: `template: {metadata: {labels: {"a/b/c": x}}}`, good: `template: {metadata: {labels: {"a/b": x}}}`,
		want: []string{`spec.template.labels: Invalid value: "a/b/c": a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must ` +
			`start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is ` +
			`'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`},
	},
	"7 there must be a container": {
		bad: "template: {spec: {containers: []}}", good: "template: {spec: {containers: [{name: a, image: b}]}}",
		want: []string{"spec.template.spec.containers: Required value"},
	},
	"7 a container must have a name": {
		bad: "template: {spec: {containers: [{image: a}]}}", good: "template: {spec: {containers: [{image: a, name: a}]}}",
		want: []string{"spec.template.spec.containers[0].name: Required value"},
	},
	"7 a container's name must be a DNS label": {
		bad: "template: {spec: {containers: [{image: a, name: A}]}}", good: "template: {spec: {containers: [{image: a, name: a}]}}",
		want: []string{`spec.template.spec.containers[0].name: Invalid value: "A": a lowercase RFC 1123 label must consist of lower case alphanumeric ` +
			`characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is ` +
			`'[a-z0-9]([-a-z0-9]*[a-z0-9])?')`},
	},
	"7 a container must have an image": {
		bad: "template: {spec: {containers: [{name: a}]}}", good: "template: {spec: {containers: [{name: a, image: a}]}}",
		want: []string{"spec.template.spec.containers[0].image: Required value"},
	},
	"7 containers must have different names": {
		bad:  "template: {spec: {containers: [{name: a, image: a}, {name: a, image: b}]}}",
		good: "template: {spec: {containers: [{name: a, image: a}, {name: b, image: b}]}}",
		want: []string{`spec.template.spec.containers[1].name: Duplicate value: "a"`},
	},
	"7 init containers count among the containers": {
		bad:  "template: {spec: {initContainers: [{name: web, image: a}]}}",
		good: "template: {spec: {initContainers: [{name: init, image: a}]}}",
		want: []string{`spec.template.spec.initContainers[0].name: Duplicate value: "web"`},
	},
	"7 a port must have a number": {
		bad: `template: {spec: {volumes: [{name: v}], containers: [{name: a, image: a, ports: [{name: x}]}]}}`, good: `template: {spec: {volumes: [{name: v}], containers: [{name: a, image: a, ports: [{containerPort: 80}]}]}}`,
		want: []string{`spec.template.spec.containers[0].ports[0].containerPort: Required value`},
	},
	"7 a port must exist": {
		bad: `template: {spec: {volumes: [{name: v}], containers: [{name: a, image: a, ports: [{containerPort: 70000}]}]}}`, good: `template: {spec: {volumes: [{name: v}], containers: [{name: a, image: a, ports: [{containerPort: 65535}]}]}}`,
		want: []string{`spec.template.spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive`},
	},
	"7 an environment variable must have a name": {
		bad: `template: {spec: {volumes: [{name: v}], containers: [{name: a, image: a, env: [{value: x}]}]}}`, good: `template: {spec: {volumes: [{name: v}], containers: [{name: a, image: a, env: [{name: x}]}]}}`,
		want: []string{`spec.template.spec.containers[0].env[0].name: Required value`},
	},
	"7 a mount must name a volume": {
		bad: `template: {spec: {volumes: [{name: v}], containers: [{name: a, image: a, volumeMounts: [{mountPath: /a}]}]}}`, good: `template: {spec: {volumes: [{name: v}], containers: [{name: a, image: a, volumeMounts: [{mountPath: /a, name: v}]}]}}`,
		want: []string{`spec.template.spec.containers[0].volumeMounts[0].name: Required value`},
	},
	"7 a mount must name a volume that is there": {
		bad: `template: {spec: {volumes: [{name: v}], containers: [{name: a, image: a, volumeMounts: [{mountPath: /a, name: w}]}]}}`, good: `template: {spec: {volumes: [{name: v}], containers: [{name: a, image: a, volumeMounts: [{mountPath: /a, name: v}]}]}}`,
		want: []string{`spec.template.spec.containers[0].volumeMounts[0].name: Not found: "w"`},
	},
	"7 a mount must have a path": {
		bad: `template: {spec: {volumes: [{name: v}], containers: [{name: a, image: a, volumeMounts: [{name: v}]}]}}`, good: `template: {spec: {volumes: [{name: v}], containers: [{name: a, image: a, volumeMounts: [{name: v, mountPath: /a}]}]}}`,
		want: []string{`spec.template.spec.containers[0].volumeMounts[0].mountPath: Required value`},
	},
	"7 mounts must have different paths": {
		bad: `template: {spec: {volumes: [{name: v}], containers: [{name: a, image: a, volumeMounts: [{name: v, mountPath: /a}, {name: v, mountPath: /a}]}]}}`, good: `template: {spec: {volumes: [{name: v}], containers: [{name: a, image: a, volumeMounts: [{name: v, mountPath: /a}, {name: v, mountPath: /b}]}]}}`,
		want: []string{`spec.template.spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/a": must be unique`},
	},
	"7 a volume must have a name": {
		bad: `template: {spec: {volumes: [{emptyDir: {}}]}}`, good: `template: {spec: {volumes: [{name: v}]}}`,
		want: []string{`spec.template.spec.volumes[0].name: Required value`},
	},
	"7 volumes must have different names": {
		bad: `template: {spec: {volumes: [{name: v}, {name: v}]}}`, good: `template: {spec: {volumes: [{name: v}, {name: w}]}}`,
		want: []string{`spec.template.spec.volumes[1].name: Duplicate value: "v"`},
	},
	"7 an unknown restart policy": {
		bad: "template: {spec: {restartPolicy: always}}", good: "template: {spec: {restartPolicy: Always}}",
		want: []string{
			`spec.template.spec.restartPolicy: Unsupported value: "always": supported values: "Always", "OnFailure", "Never"`,
			`spec.template.spec.restartPolicy: Unsupported value: "always": supported values: "Always"`,
		},
	},
	"7 pods must restart always": {
		bad: "template: {spec: {restartPolicy: Never}}", good: "template: {spec: {restartPolicy: Always}}",
		want: []string{`spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"`},
	},
	"7 ephemeral containers are not for templates": {
		bad: "template: {spec: {ephemeralContainers: [{name: a, image: a}]}}", good: "template: {spec: {ephemeralContainers: []}}",
		want: []string{"spec.template.spec.ephemeralContainers: Forbidden: ephemeral containers not allowed in pod template"},
	},
	"7 pods must not have a deadline": {
		bad: "template: {spec: {activeDeadlineSeconds: 5}}", good: "template: {spec: {terminationGracePeriodSeconds: 5}}",
		want: []string{"spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported"},
	},
}

// strategyRows are the rows of core.md §1.7.2 about what stands beside routing and steps.
var strategyRows = map[string]row{
	"blue-green needs two Services": {
		bad:  "strategy: {canary: null, blueGreen: {activeService: a, previewService: a}}",
		good: "strategy: {canary: null, blueGreen: {activeService: a, previewService: b}}",
		want: []string{`spec.strategy.activeService: Invalid value: "a": This rollout uses the same service for the active and preview services, but two different services are required.`},
	},
	"blue-green with both Services empty": {
		bad:  `strategy: {canary: null, blueGreen: {activeService: ""}}`,
		good: `strategy: {canary: null, blueGreen: {activeService: a}}`,
		want: []string{`spec.strategy.activeService: Invalid value: "": This rollout uses the same service for the active and preview services, but two different services are required.`},
	},
	"blue-green cannot delay more revisions than history keeps": {
		bad:  "{revisionHistoryLimit: 2, strategy: {canary: null, blueGreen: {activeService: a, scaleDownDelayRevisionLimit: 3}}}",
		good: "{revisionHistoryLimit: 2, strategy: {canary: null, blueGreen: {activeService: a, scaleDownDelayRevisionLimit: 2}}}",
		want: []string{"spec.strategy.scaleDownDelayRevisionLimit: Invalid value: 3: This rollout's revision history limit can not be smaller than the rollout's scale down limit"},
	},
	"the same limit is not checked for a canary": {
		bad:  "{revisionHistoryLimit: -1, strategy: {canary: {scaleDownDelayRevisionLimit: 3}}}",
		good: "{revisionHistoryLimit: 2, strategy: {canary: {scaleDownDelayRevisionLimit: 3}}}",
		want: []string{"spec.revisionHistoryLimit: Invalid value: -1: must be greater than or equal to 0"},
	},
	"anti-affinity without a mode": {
		bad:  "strategy: {canary: {antiAffinity: {}}}",
		good: "strategy: {canary: {antiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {}}}}",
		want: []string{"spec.strategy.antiAffinity: Invalid value: {}: AntiAffinity must have exactly one strategy listed"},
	},
	"anti-affinity with both modes": {
		bad: "strategy: {canary: null, blueGreen: {activeService: a, antiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {}, " +
			"preferredDuringSchedulingIgnoredDuringExecution: {weight: 1}}}}",
		good: "strategy: {canary: null, blueGreen: {activeService: a, antiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: {weight: 1}}}}",
		want: []string{`spec.strategy.antiAffinity: Invalid value: {"preferredDuringSchedulingIgnoredDuringExecution":{"weight":1},` +
			`"requiredDuringSchedulingIgnoredDuringExecution":{}}: AntiAffinity must have exactly one strategy listed`},
	},
	"anti-affinity weight too small": {
		bad:  "strategy: {canary: {antiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: {weight: 0}}}}",
		good: "strategy: {canary: {antiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: {weight: 1}}}}",
		want: []string{"spec.strategy.antiAffinity.weight: Invalid value: 0: AntiAffinity weight must be between 1-100"},
	},
	"anti-affinity weight too large": {
		bad:  "strategy: {canary: {antiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: {weight: 101}}}}",
		good: "strategy: {canary: {antiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: {weight: 100}}}}",
		want: []string{"spec.strategy.antiAffinity.weight: Invalid value: 101: AntiAffinity weight must be between 1-100"},
	},
	"surge and unavailable are both 0": {
		bad: "strategy: {canary: {maxSurge: 0, maxUnavailable: 0}}", good: "strategy: {canary: {maxSurge: 0}}",
		want: []string{"spec.strategy.maxSurge: Invalid value: 0: MaxSurge and MaxUnavailable both can not be zero"},
	},
	"surge and unavailable are both 0 in words": {
		bad: `strategy: {canary: {maxSurge: "0%", maxUnavailable: "0"}}`, good: `strategy: {canary: {maxSurge: "0%", maxUnavailable: "1"}}`,
		want: []string{`spec.strategy.maxSurge: Invalid value: "0%": MaxSurge and MaxUnavailable both can not be zero`},
	},
	"stable and canary share a Service": {
		bad: "strategy: {canary: {stableService: a, canaryService: a}}", good: "strategy: {canary: {stableService: a, canaryService: b}}",
		want: []string{`spec.strategy.stableService: Invalid value: "a": This rollout uses the same service for the stable and canary services, but two different services are required.`},
	},
	"scaleDownDelaySeconds without a router": {
		bad:  "strategy: {canary: {scaleDownDelaySeconds: 30}}",
		good: "strategy: {canary: {stableService: a, canaryService: b, scaleDownDelaySeconds: 30, trafficRouting: {smi: {}}}}",
		want: []string{"spec.strategy.scaleDownDelaySeconds: Invalid value: 30: Canary scaleDownDelaySeconds can only be used with traffic routing"},
	},
	"dynamicStableScale without a router": {
		bad:  "strategy: {canary: {dynamicStableScale: true}}",
		good: "strategy: {canary: {stableService: a, canaryService: b, dynamicStableScale: true, trafficRouting: {smi: {}}}}",
		want: []string{"spec.strategy.dynamicStableScale: Invalid value: true: Canary dynamicStableScale can only be used with traffic routing"},
	},
}
