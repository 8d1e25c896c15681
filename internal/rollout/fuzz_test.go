package rollout

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/traffic"
)

var (
	inputs     = flag.Int("inputs", 5000, "how many odd Rollouts to read, check and plan")
	firstInput = flag.Int("first", 0, "number of the first odd Rollout")
)

// Whatever is stored as a Rollout can be read, checked and planned without a panic, and
// the plan of a valid one is sound. Input n is the same in every run.
//
// Covers: edge 14, edge 25, defect 13, defect 21.
func TestOddRolloutsAreReadCheckedAndPlanned(t *testing.T) {
	seeds, err := seedTrees()
	if err != nil || len(seeds) < 20 {
		t.Fatalf("%d seeds: %v", len(seeds), err)
	}
	var workers sync.WaitGroup
	var mu sync.Mutex
	valid, failed := 0, 0
	shards := runtime.GOMAXPROCS(0)
	for shard := range shards {
		workers.Go(func() {
			for n := *firstInput + shard; n < *firstInput+*inputs; n += shards {
				ok, why := oddInput(seeds, uint64(n))
				mu.Lock()
				if ok {
					valid++
				}
				if why != "" {
					if failed++; failed <= 5000 {
						t.Errorf("%s\nreplay: go test ./internal/rollout -run %s -first %d -inputs 1", why, t.Name(), n)
					}
				}
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	if *inputs > 1000 && (valid < *inputs/10 || valid > *inputs*9/10) {
		t.Errorf("%d of %d inputs are valid: the generator makes too many or too few", valid, *inputs)
	}
	if failed > 5 {
		t.Errorf("%d failures in all", failed)
	}
}

// oddInput makes an input and checks it.
func oddInput(seeds []tree, n uint64) (valid bool, why string) {
	r := rand.New(rand.NewPCG(n, 1))
	data, err := json.Marshal(oddRollout(r, seeds))
	if err != nil {
		return false, err.Error()
	}
	return tryOdd(data, r)
}

// tryOdd does with a stored object what the controller does.
func tryOdd(data []byte, r *rand.Rand) (valid bool, why string) {
	defer func() {
		if p := recover(); p != nil {
			stack := make([]byte, 4000)
			why = fmt.Sprintf("panic: %v\n%s\n%s", p, stack[:runtime.Stack(stack, false)], short(data))
		}
	}()
	var ro v1alpha1.Rollout
	if err := json.Unmarshal(data, &ro); err != nil {
		var o struct{ Metadata any }
		if json.Unmarshal(data, &o) != nil || badMetadata(data) {
			return false, "" // no object, or with metadata that no API server stores
		}
		return false, fmt.Sprintf("cannot be read: %v\n%s", err, short(data))
	}
	ro.Name, ro.Namespace = "web", "shop"
	s := oddSnapshot(r, &ro)
	refs := &References{}
	if r.IntN(4) == 0 {
		refs.Services = map[string]ServiceRef{"web-stable": {}, "web-canary": {Selector: map[string]string{"x": "y"}}, "active": {ManagedBy: "b"}}
		refs.Templates = map[TemplateKey]TemplateRef{{TemplateName: "t"}: {Nested: nested("t")}}
	}
	s.Trouble = append(s.Trouble, Misread(&ro.Spec)...)
	all := Validate(ro.Namespace, ro.Name, &ro.Spec, refs)
	s.Invalid = InvalidMessage(ro.Name, all)
	if len(s.Invalid) > 4096 || (s.Invalid == "") != (len(all) == 0) || !utf8.ValidString(s.Invalid) && utf8.Valid(data) {
		return false, fmt.Sprintf("%d problems in %d bytes: %q", len(all), len(s.Invalid), s.Invalid)
	}
	plan := Decide(s)
	faults := append(unbounded(&s, &plan, len(data)), unsound(&s, &plan)...)
	if len(faults) > 0 {
		given, _ := json.Marshal(s)
		return len(all) == 0, fmt.Sprintf("%s\nof %s\ninvalid: %s\nactions: %v", strings.Join(faults, "\n"), short(given), s.Invalid, plan.Actions)
	}
	return len(all) == 0, ""
}

// badMetadata reports metadata that is no object's: the API server sees to it itself.
func badMetadata(data []byte) bool {
	var o struct {
		Metadata json.RawMessage `json:"metadata"`
	}
	type head struct {
		APIVersion string            `json:"apiVersion"`
		Kind       string            `json:"kind"`
		Metadata   metav1.ObjectMeta `json:"metadata"`
	}
	return json.Unmarshal(data, &o) != nil || json.Unmarshal(data, &head{}) != nil
}

func short(data []byte) string {
	text, err := yaml.JSONToYAML(data)
	if err != nil {
		text = data
	}
	if *inputs == 1 { // one that is replayed is shown
		return string(text)
	}
	return string(text[:min(len(text), 300)])
}

// unbounded says what of a plan is larger than its input explains.
func unbounded(s *Snapshot, p *Plan, size int) (faults []string) {
	things := 20 + 6*len(s.Revisions) + len(s.Runs) + len(s.Experiments) + len(s.Pods)
	if n := len(p.Actions) + len(p.Notes); n > 2*things {
		faults = append(faults, fmt.Sprintf("%d actions and %d notes", len(p.Actions), len(p.Notes)))
	}
	status, err := json.Marshal(p.Status)
	if err != nil {
		faults = append(faults, err.Error())
	}
	if before, _ := json.Marshal(s.Status); len(status) > 20_000+len(before)+size {
		faults = append(faults, fmt.Sprintf("a status of %d bytes after one of %d", len(status), len(before)))
	}
	for _, n := range p.Notes {
		if len(n.Message) > 6000+size {
			faults = append(faults, fmt.Sprintf("a note of %d bytes", len(n.Message)))
		}
	}
	return faults
}

// unsound says what a plan must never hold, whatever it was made from. Of an invalid
// spec only an abort is carried out; numbers that it has wrong take no pod away.
func unsound(s *Snapshot, p *Plan) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	blind := len(Misread(&s.Spec)) > 0
	for _, a := range p.Actions {
		switch a := a.(type) {
		case Scale:
			if a.To < 0 || blind && a.To < a.From {
				fault("%s", a)
			}
		case ScaleWorkload:
			if a.To < 0 || blind {
				fault("%s", a)
			}
		case SetSplit:
			if !whole(a.Split) {
				fault("%s of %d", a, a.Split.Total)
			}
		case Retire:
			if !a.At.IsZero() && a.At.Before(s.Now) {
				fault("%s", a)
			}
		case EnsureRevision, StartRun, StartExperiment, CallPlugin, Restart:
			if s.Invalid != "" {
				fault("%s of an invalid spec", a)
			}
		}
	}
	if s.Invalid == "" && !s.Deleting { // else the status stays as it was found
		faults = append(faults, unsoundStatus(s, &p.Status)...)
	}
	return faults
}

func unsoundStatus(s *Snapshot, st *v1alpha1.RolloutStatus) (faults []string) {
	steps := 0
	if c := s.Spec.Strategy.Canary; c != nil {
		steps = len(c.Steps)
	}
	if i := st.CurrentStepIndex; i != nil && (*i < 0 || int(*i) > steps) {
		faults = append(faults, fmt.Sprintf("step index %d of %d", *i, steps))
	}
	if min(st.Replicas, st.UpdatedReplicas, st.ReadyReplicas, st.AvailableReplicas, st.HPAReplicas) < 0 {
		faults = append(faults, fmt.Sprintf("negative counts: %d %d %d %d %d", st.Replicas, st.UpdatedReplicas, st.ReadyReplicas, st.AvailableReplicas, st.HPAReplicas))
	}
	if w := st.Canary.Weights; w != nil && min(w.Canary.Weight, w.Stable.Weight) < 0 {
		faults = append(faults, fmt.Sprintf("negative weights: %+v", *w))
	}
	return faults
}

// whole reports that the weights are shares of the total.
func whole(s traffic.Split) bool {
	sum := int64(0)
	for _, d := range s.Destinations {
		if d.Weight < 0 {
			return false
		}
		sum += int64(d.Weight)
	}
	return s.Total > 0 && sum == int64(s.Total)
}

// FuzzRollout does the same with what the fuzzer finds.
func FuzzRollout(f *testing.F) {
	seeds, err := seedTrees()
	if err != nil {
		f.Fatal(err)
	}
	for i, o := range seeds {
		f.Add(marshal(f, o), uint64(i))
	}
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		asJSON, err := yaml.YAMLToJSON(data)
		if err != nil {
			return
		}
		if _, why := tryOdd(asJSON, rand.New(rand.NewPCG(seed, 2))); why != "" {
			t.Error(why)
		}
	})
}
