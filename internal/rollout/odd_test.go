package rollout

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/tools/txtar"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// Odd Rollouts: real manifests, and some that use every field, with random damage.

// tree is an object as it is stored.
type tree = map[string]any

// everything are Rollouts that together use every field of the API.
var everything = []string{`
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: web, namespace: shop, labels: {team: a}}
spec:
  replicas: 5
  revisionHistoryLimit: 3
  minReadySeconds: 5
  progressDeadlineSeconds: 60
  progressDeadlineAbort: true
  restartAt: "2026-01-01T00:00:00Z"
  rollbackWindow: {revisions: 2}
  analysis: {successfulRunHistoryLimit: 2, unsuccessfulRunHistoryLimit: 2}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: "web:1", resources: {limits: {memory: 1Gi}, requests: {cpu: 100m}}, ports: [{containerPort: 80}]}]
      volumes: [{name: v, emptyDir: {sizeLimit: 1Gi}}]
  strategy:
    canary:
      stableService: web-stable
      canaryService: web-canary
      canaryMetadata: {labels: {role: canary}}
      stableMetadata: {labels: {role: stable}, annotations: {a: b}}
      maxSurge: 25%
      maxUnavailable: 1
      scaleDownDelaySeconds: 30
      scaleDownDelayRevisionLimit: 2
      abortScaleDownDelaySeconds: 60
      minPodsPerReplicaSet: 2
      replicaProgressThreshold: {type: Percent, value: 90}
      antiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: {weight: 50}}
      analysis: {startingStep: 1, templates: [{templateName: t}], args: [{name: a, valueFrom: {podTemplateHashValue: Latest}}]}
      trafficRouting:
        managedRoutes: [{name: h}, {name: m}]
        istio: {virtualService: {name: web, routes: [primary]}}
      steps:
      - setWeight: 5
      - pause: {duration: 10m}
      - setCanaryScale: {replicas: 2}
      - setHeaderRoute: {name: h, match: [{headerName: x, headerValue: {exact: y}}]}
      - setMirrorRoute: {name: m, percentage: 10, match: [{method: {exact: GET}, path: {prefix: /}}]}
      - setCanaryScale: {matchTrafficWeight: true}
      - experiment:
          duration: 5m
          templates: [{name: a, specRef: canary, replicas: 1, weight: 5, service: {name: s}}, {name: b, specRef: stable, weight: 5}]
          analyses: [{name: x, templateName: t, requiredForCompletion: true, args: [{name: a, value: b}]}]
      - setWeight: 50
      - analysis: {templates: [{templateName: t}], args: [{name: a, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]}
      - plugin: {name: x/y, config: {a: 1}}
      - pause: {}
      - pause: {timeout: 4h, onTimeout: Hold}
      - setWeight: 100
status: {replicas: 5, stableRS: aaa, currentPodHash: bbb, currentStepIndex: 2, currentStepHash: x, observedGeneration: "3"}
`, `
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: web, namespace: shop}
spec:
  replicas: 4
  selector: {matchExpressions: [{key: app, operator: In, values: [web]}]}
  workloadRef: {apiVersion: apps/v1, kind: Deployment, name: web, scaleDown: progressively}
  strategy:
    canary:
      dynamicStableScale: true
      abortScaleDownDelaySeconds: 0
      pingPong: {pingService: ping, pongService: pong}
      antiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {}}
      trafficRouting:
        maxTrafficWeight: 1000
        plugins: {argoproj-labs/gatewayAPI: {httpRoute: web}}
      steps: [{setWeight: 250}, {setCanaryScale: {weight: 200}}, {pause: {duration: "30"}}, {setWeight: 1000}]
`, `
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: web, namespace: shop}
spec:
  replicas: 3
  paused: true
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: "web:1"}]}}
  strategy:
    blueGreen:
      activeService: active
      previewService: preview
      previewReplicaCount: 1
      autoPromotionEnabled: true
      autoPromotionSeconds: 30
      maxUnavailable: 25%
      scaleDownDelaySeconds: 60
      scaleDownDelayRevisionLimit: 1
      abortScaleDownDelaySeconds: 10
      prePromotionAnalysis: {templates: [{templateName: t}]}
      postPromotionAnalysis: {templates: [{templateName: t, clusterScope: true}], args: [{name: a, value: b}]}
      previewMetadata: {labels: {role: preview}}
      activeMetadata: {labels: {role: active}}
`, "{metadata: {name: web}, spec: {}}", "{metadata: {name: web}, spec: null}", "{metadata: {name: web}, spec: word, status: word}",
	"{metadata: {name: web}, spec: {strategy: {canary: {}, blueGreen: {}}}}", "{metadata: {name: web}, spec: {strategy: {canary: {}}}}",
	"{metadata: {name: web}, spec: {replicas: 2, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}}, strategy: {canary: {}}}}"}

// seedTrees are all manifests that the repository, and the folder beside it, have.
var seedTrees = sync.OnceValues(func() (seeds []tree, err error) {
	read := func(data []byte) error {
		r := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
		for {
			doc, err := r.Read()
			if err == io.EOF {
				return nil
			}
			var o tree
			if err == nil {
				err = yaml.Unmarshal(doc, &o)
			}
			if err != nil {
				return err
			}
			if o["kind"] == "Rollout" || o["spec"] != nil && o["kind"] == nil {
				seeds = append(seeds, o)
			}
		}
	}
	for _, text := range everything {
		if err := read([]byte(text)); err != nil {
			return nil, err
		}
	}
	for _, folder := range []string{"examples", "testdata/stories", "../shared/conformance/argocd/Rollout"} {
		err := filepath.WalkDir(filepath.Join("..", "..", folder), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return nil // the folder beside the repository may be missing
			}
			data, err := os.ReadFile(path)
			switch filepath.Ext(path) {
			case ".txtar":
				for _, f := range txtar.Parse(data).Files {
					if strings.HasSuffix(f.Name, ".yaml") && err == nil {
						err = read(f.Data)
					}
				}
			case ".yaml":
				if !strings.HasSuffix(path, "_test.yaml") && err == nil {
					err = read(data)
				}
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", folder, err)
		}
	}
	return seeds, nil
})

// oddValues are what people and machines write by mistake.
var oddValues = []any{
	nil, true, false, -1, 0, 1, 2, 50, 101, 2147483647, -2147483648, 2147483648, int64(1) << 62, 1e300, 0.5, -0.5,
	"", "abc", "5", "-5", "5%", "-5%", "300%", "99999999999%", "1h30m", "9999999h", "-1h", "2147483647", "web", "2026-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
	"ünï\x00\u2028", []any{}, []any{nil}, []any{tree{}}, tree{}, tree{"a": "b"}, tree{"web": "web"},
}

// oddRollout makes a damaged Rollout.
func oddRollout(r *rand.Rand, seeds []tree) tree {
	o := clone(seeds[r.IntN(len(seeds))]).(tree)
	for range r.IntN(5) {
		damage(r, o, seeds)
	}
	return o
}

// damage does one thing to a random place of the tree.
func damage(r *rand.Rand, o tree, seeds []tree) {
	other := seeds[r.IntN(len(seeds))]
	switch r.IntN(8) {
	case 0: // a part of another manifest
		graft(r, o, other, "spec", "strategy")
		return
	case 1:
		graft(r, o, other, "spec", []string{"template", "selector", "workloadRef", "replicas"}[r.IntN(4)])
		return
	case 2: // both strategies
		if spec, ok := o["spec"].(tree); ok {
			from, _ := other["spec"].(tree)
			if mine, ok := spec["strategy"].(tree); ok {
				theirs, _ := from["strategy"].(tree)
				for k, v := range theirs {
					mine[k] = clone(v)
				}
			}
		}
		return
	}
	parent, key := place(r, o)
	switch list, _ := parent.([]any); {
	case list != nil && r.IntN(3) == 0:
		list[r.IntN(len(list))] = clone(list[r.IntN(len(list))])
	case list != nil:
		list[key.(int)] = oddValue(r)
	case parent == nil:
	default:
		m := parent.(tree)
		inner, isList := m[key.(string)].([]any)
		switch n := r.IntN(6); {
		case n == 0:
			delete(m, key.(string))
		case n == 1 && isList && len(inner) > 0: // many of them
			long := make([]any, 300)
			for i := range long {
				long[i] = clone(inner[i%len(inner)])
			}
			m[key.(string)] = long
		default:
			m[key.(string)] = oddValue(r)
		}
	}
}

func oddValue(r *rand.Rand) any {
	if r.IntN(500) == 0 {
		return strings.Repeat("long ", 10_000)
	}
	return clone(oddValues[r.IntN(len(oddValues))])
}

// graft takes a part of another manifest.
func graft(r *rand.Rand, o, other tree, in, name string) {
	mine, ok := o[in].(tree)
	theirs, _ := other[in].(tree)
	if part, has := theirs[name]; ok && (has || r.IntN(4) == 0) {
		mine[name] = clone(part)
	}
}

// place picks a random place, deep ones as likely as those at the top.
func place(r *rand.Rand, root any) (parent, key any) {
	n := 0
	var visit func(at any)
	visit = func(at any) {
		try := func(k, child any) {
			if n++; r.IntN(n) == 0 {
				parent, key = at, k
			}
			visit(child)
		}
		switch at := at.(type) {
		case tree:
			for _, k := range slices.Sorted(maps.Keys(at)) {
				try(k, at[k])
			}
		case []any:
			for i := range at {
				try(i, at[i])
			}
		}
	}
	visit(root)
	return parent, key
}

func clone(v any) any {
	switch v := v.(type) {
	case tree:
		out := make(tree, len(v))
		for k, c := range v {
			out[k] = clone(c)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, c := range v {
			out[i] = clone(c)
		}
		return out
	}
	return v
}

func marshal(t testing.TB, o tree) []byte {
	t.Helper()
	data, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
