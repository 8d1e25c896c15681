package lint

import (
	"strings"
	"testing"
)

func TestAdvice(t *testing.T) {
	const routing = "    canary:\n      stableService: a\n      canaryService: b\n      trafficRouting: {smi: {}}\n"
	canary := "    canary:\n"
	blue := goodRollout[:strings.Index(goodRollout, canary)] + "    blueGreen:\n      activeService: a\n"
	steps := "        - setWeight: 50\n"
	early := change(goodRollout, steps, "        - setCanaryScale: {replicas: 1}\n        - analysis: {templates: [{templateName: once}]}\n"+steps, canary, routing)
	once := change(goodTemplate, "metadata: {name: rate}", "metadata: {name: once}", "      interval: 1m\n", "")
	checkRows(t, map[string]lintRow{
		"a metric with an interval":          {texts: []string{change(goodTemplate, "      inconclusiveLimit: 1\n", "")}, want: []string{"inconclusive-limit 6 spec.metrics[0]"}},
		"a metric that says what no data is": {texts: []string{change(goodTemplate, "inconclusiveLimit: 1", "noData: Fail")}},
		"a pause without an end":             {texts: []string{change(goodRollout, steps, steps+"        - pause: {}\n")}, want: []string{"endless-pause 17 spec.strategy.canary.steps[1].pause"}},
		"a pause with a timeout":             {texts: []string{change(goodRollout, steps, steps+"        - pause: {timeout: 1h}\n")}},
		"a pause with an end":                {texts: []string{change(goodRollout, steps, steps+"        - pause: {duration: 1h}\n")}},
		"a promotion by hand":                {texts: []string{blue + "      autoPromotionEnabled: false\n"}, want: []string{"endless-pause 14 spec.strategy.blueGreen.autoPromotionEnabled"}},
		"a promotion in time":                {texts: []string{blue + "      autoPromotionEnabled: false\n      autoPromotionSeconds: 60\n"}},
		"a query before any traffic":         {texts: []string{early, once}, want: []string{"missing-reference 17 spec.strategy.canary.analysis.templates", "unproven-step 20 spec.strategy.canary.steps[1].analysis"}},
		"a call before any traffic":          {texts: []string{early, change(once, "prometheus: {query: up}", "web: {url: 'http://a', jsonPath: '{$}'}"), goodTemplate}},
		"no background analysis":             {texts: []string{change(goodRollout, "      analysis:\n        templates: [{templateName: rate}]\n", "")}, want: []string{"no-background-analysis 12 spec.strategy.canary"}},
		"two revisions":                      {texts: []string{change(goodRollout, "Limit: 10", "Limit: 2")}, want: []string{"few-revisions 6 spec.revisionHistoryLimit"}},
		"a short delay":                      {texts: []string{change(goodRollout, canary, routing+"      scaleDownDelaySeconds: 4\n")}, want: []string{"short-scale-down-delay 16 spec.strategy.canary.scaleDownDelaySeconds"}},
		"a delay that is long enough":        {texts: []string{blue + "      scaleDownDelaySeconds: 5\n"}},
		"a schema under blue-green":          {texts: []string{change(blue, "spec: {containers", "spec: {initContainers: [{name: db, image: a, command: [rake, 'db:migrate']}], containers")}, want: []string{"blue-green-schema 10 spec.template.spec.initContainers[0]"}},
		"a schema under a canary":            {texts: []string{change(goodRollout, "spec: {containers", "spec: {initContainers: [{name: migrate, image: a}], containers")}},
		"a weight below one pod":             {texts: []string{change(goodRollout, "setWeight: 50", "setWeight: 9")}, want: []string{"replicas-for-weight 16 spec.strategy.canary.steps[0].setWeight"}},
		"a weight of one pod":                {texts: []string{change(goodRollout, "setWeight: 50", "setWeight: 10")}},
	})
}
