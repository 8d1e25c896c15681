package rollout_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
	"github.com/penstock-io/penstock/internal/traffic"
)

// replaces makes the rollout take over from a Deployment of so many pods, all available.
func replaces(mode string, pods int32) mod {
	return func(s *snapshot) {
		s.Spec.WorkloadRef = &v1alpha1.ObjectRef{APIVersion: "apps/v1", Kind: "Deployment", Name: "demo", ScaleDown: mode}
		s.Spec.TemplateResolvedFromRef = true
		s.Workload = &rollout.Workload{Generation: 1, Scalable: true, Desired: pods, Available: pods}
		s.Status.WorkloadObservedGeneration = "1"
	}
}

// held has our finalizer on the Rollout.
func held(s *snapshot) { s.Finalizer = true }

func inPhase(p v1alpha1.RolloutPhase) mod { return func(s *snapshot) { s.Status.Phase = p } }

// blueServing is a blue-green rollout whose active Service selects v1.
func blueServing(s *snapshot) {
	s.Spec.Strategy = v1alpha1.RolloutStrategy{BlueGreen: &v1alpha1.BlueGreenStrategy{ActiveService: "stable", PreviewService: "canary"}}
	fit(s)
	s.Routed = true
	s.Services = []rollout.Service{{Name: "stable", Exists: true, Managed: true, Hash: "v1"}, {Name: "canary", Exists: true, Managed: true, Hash: "v2"}}
	w := traffic.Two(100, 0, traffic.Destination{Service: "stable", Hash: "v1"}, traffic.Destination{Service: "canary", Hash: "v2"})
	s.Traffic = traffic.State{Written: w, Live: []traffic.Split{w}, Known: true}
}

// workloadLines are what a plan does to the workload and the finalizer.
func workloadLines(p rollout.Plan) (list []string) {
	for _, l := range lines(p) {
		if strings.Contains(l, "referenced workload") || strings.Contains(l, "finalizer") {
			list = append(list, l)
		}
	}
	return list
}

func TestTheDeploymentGivesWay(t *testing.T) {
	const on, off = "add the finalizer", "remove the finalizer"
	const down = "scale the referenced workload from 4 to "
	progressing := inPhase(v1alpha1.RolloutPhaseProgressing)
	trouble := func(s *snapshot) { s.Trouble = []rollout.Note{{Kind: rollout.Waiting, Reason: rollout.Unreadable}} }
	for name, c := range map[string]struct {
		mods []mod
		want string
	}{
		"never: it is left alone":                             {[]mod{replaces("never", 4)}, ""},
		"no mode is never":                                    {[]mod{replaces("", 4)}, ""},
		"an unknown mode is never":                            {[]mod{replaces("Progressively", 4)}, ""},
		"a mode that was taken back lets go of the finalizer": {[]mod{replaces("never", 0), held}, off},
		"so does a reference that was taken out":              {[]mod{held}, off},
		"but not one that cannot be resolved":                 {[]mod{replaces("onsuccess", 4), held, func(s *snapshot) { s.Workload = nil }}, ""},
		"what is no Deployment is left alone":                 {[]mod{replaces("onsuccess", 4), func(s *snapshot) { s.Workload.Scalable = false }}, ""},

		// Covers: edge 137, defect 29, outage 44, outage 45.
		"onsuccess: a Healthy rollout puts its finalizer on first":          {[]mod{replaces("onsuccess", 4)}, on},
		"progressively: a Healthy rollout puts its finalizer on first":      {[]mod{replaces("progressively", 4)}, on},
		"then all pods of the Deployment go":                                {[]mod{replaces("onsuccess", 4), held}, down + "0"},
		"whatever revision the rollout is at":                               {[]mod{replaces("onsuccess", 4), held, func(s *snapshot) { s.Number, s.Revisions[0].Number = 7, 7 }}, down + "0"},
		"progressively as well":                                             {[]mod{replaces("progressively", 4), held}, down + "0"},
		"a Deployment at 0 needs a finalizer, whoever has scaled it":        {[]mod{replaces("onsuccess", 0)}, on},
		"and then nothing":                                                  {[]mod{replaces("onsuccess", 0), held}, ""},
		"onsuccess does nothing while the rollout is not Healthy":           {[]mod{replaces("onsuccess", 4), held, progressing}, ""},
		"nor while the last pass has not seen this spec":                    {[]mod{replaces("onsuccess", 4), held, func(s *snapshot) { s.Generation++ }}, ""},
		"nor when a pod was lost since":                                     {[]mod{replaces("onsuccess", 4), held, pods("v1", 4, 3)}, ""},
		"nor while something could not be read":                             {[]mod{replaces("onsuccess", 4), held, trouble}, ""},
		"nor while it is not known what the data plane does":                {[]mod{routed(0, "v1"), replaces("onsuccess", 4), held, func(s *snapshot) { s.Traffic.Known = false }}, ""},
		"nor while a person has paused the rollout":                         {[]mod{replaces("onsuccess", 4), held, func(s *snapshot) { s.Spec.Paused = true }}, ""},
		"nor for a rollout of no pods":                                      {[]mod{replaces("onsuccess", 4), held, pods("v1", 0, 0), func(s *snapshot) { s.Spec.Replicas = ptr(int32(0)) }}, ""},
		"nor for a rollout of no pods with progressively":                   {[]mod{replaces("progressively", 4), held, pods("v1", 0, 0), func(s *snapshot) { s.Spec.Replicas = ptr(int32(0)) }}, ""},
		"a routed rollout takes over too":                                   {[]mod{routed(0, "v1"), replaces("onsuccess", 4), held}, down + "0"},
		"progressively: nothing goes while no pod is available":             {[]mod{replaces("progressively", 4), held, progressing, pods("v1", 4, 0)}, ""},
		"as many pods go as the rollout has":                                {[]mod{replaces("progressively", 4), held, progressing, pods("v1", 4, 1)}, down + "3"},
		"pods that are about to go do not count":                            {[]mod{replaces("progressively", 4), held, progressing, of("v1", func(r *rollout.Revision) { r.Desired = 2 })}, down + "2"},
		"not one before the finalizer is on":                                {[]mod{replaces("progressively", 4), progressing, pods("v1", 4, 1)}, on},
		"not one while a person has paused the rollout":                     {[]mod{replaces("progressively", 4), held, progressing, pods("v1", 4, 1), func(s *snapshot) { s.Spec.Paused = true }}, ""},
		"not one while something could not be read":                         {[]mod{replaces("progressively", 4), held, progressing, pods("v1", 4, 1), trouble}, ""},
		"not one while it is not known what the data plane does":            {[]mod{routed(0, "v1"), replaces("progressively", 4), held, progressing, pods("v1", 4, 1), func(s *snapshot) { s.Traffic.Known = false }}, ""},
		"pods that the rollout has lost on the way come back":               {[]mod{replaces("progressively", 1), held, progressing, pods("v1", 4, 1)}, "scale the referenced workload from 1 to 3"},
		"but not where nothing was taken yet":                               {[]mod{replaces("progressively", 1), progressing, pods("v1", 4, 1)}, ""},
		"a larger rollout does not bring the Deployment back":               {[]mod{replaces("progressively", 0), held, func(s *snapshot) { s.Spec.Replicas = ptr(int32(9)) }}, ""},
		"a larger rollout takes over from a larger Deployment at its own n": {[]mod{replaces("progressively", 9), held, progressing, pods("v1", 4, 1)}, "scale the referenced workload from 9 to 3"},
		// Covers: outage 46.
		"once it is at 0 a pod that is lost brings nothing back": {[]mod{replaces("progressively", 0), held, progressing, pods("v1", 4, 1)}, ""},

		// Covers: outage 44.
		"onsuccess: what somebody scales up in an update passes no step, and goes": {[]mod{updating(1, 1), replaces("onsuccess", 4), held}, down + "0"},
		"progressively: so does it there":                                          {[]mod{updating(1, 1), replaces("progressively", 4), held}, down + "0"},
		"not while the rollout itself has too few pods":                            {[]mod{updating(1, 1), replaces("onsuccess", 4), held, pods("v1", 2, 2)}, ""},
		"nor before the migration":                                                 {[]mod{updating(1, 1), replaces("onsuccess", 4)}, ""},
		"an update never brings it back: it runs the new template":                 {[]mod{updating(1, 0), replaces("progressively", 1), held, pods("v1", 1, 1)}, ""},
		"an abort does not either": {[]mod{updating(1, 0), replaces("progressively", 1), held, pods("v1", 1, 1),
			func(s *snapshot) { s.Status.Abort = true }}, ""},
		"in the pass that finds a new template all is held": {[]mod{replaces("progressively", 4), held, progressing, pods("v1", 4, 1),
			func(s *snapshot) { s.TemplateHash, s.Revisions[0].Current = "v2", false }}, ""},
		"a preview does none of its work": {[]mod{updating(4, 4), replaces("progressively", 4), blueServing, held, pods("v1", 4, 1)}, down + "3"},
		"more pods than fit a number": {[]mod{replaces("progressively", 4), held, progressing, pods("v1", 1<<30, 1<<30), old("v0", 0, 1<<30, 1<<30),
			func(s *snapshot) { s.Spec.Replicas = ptr(int32(1 << 30)) }}, down + "0"},
	} {
		t.Run(name, func(t *testing.T) {
			s := given(c.mods...)
			before := s.Status.DeepCopy()
			p := rollout.Decide(s)
			if got := strings.Join(workloadLines(p), "; "); got != c.want {
				t.Errorf("got %q, want %q; waiting: %v", got, c.want, waits(p))
			}
			if d := cmp.Diff(*before, s.Status); d != "" {
				t.Errorf("the snapshot was changed: %s", d)
			}
		})
	}
}

func TestWhatTheDeploymentKeepsPodsForIsTold(t *testing.T) {
	s := given(replaces("progressively", 4), held, inPhase(v1alpha1.RolloutPhaseProgressing), pods("v1", 4, 1))
	want := "WorkloadRemains: the referenced workload keeps 3 pods: 1 of 4 pods of the rollout are available, which is Progressing"
	if got := strings.Join(waits(rollout.Decide(s)), "\n"); !strings.Contains(got, want) {
		t.Error(got)
	}
	s.Workload.Desired = 0
	if got := strings.Join(waits(rollout.Decide(s)), "\n"); strings.Contains(got, "WorkloadRemains") {
		t.Error(got)
	}
}

// deleted is a Rollout that was deleted a minute ago, with the default deadline of ten.
func deleted(s *snapshot) { s.Deleting, s.DeletedAt = true, s.Now.Add(-time.Minute) }

// back has the Deployment scaled up, with so many pods available.
func back(available int32) mod {
	return func(s *snapshot) { s.Workload.Desired, s.Workload.Available = 4, available }
}

// Covers: outage 47, edge 16.
func TestADeletedRolloutHandsItsPodsBack(t *testing.T) {
	const up, off = "scale the referenced workload from 0 to 4", "remove the finalizer"
	const services = "release service canary; release service stable"
	gone := func(s *snapshot) { s.Workload = nil }
	trouble := func(s *snapshot) { s.Trouble = []rollout.Note{{Kind: rollout.Waiting, Reason: rollout.Unreadable}} }
	free := func(s *snapshot) {
		for i := range s.Services {
			s.Services[i].Hash, s.Services[i].Managed = "", false
		}
		for i := range s.Traffic.Written.Destinations {
			s.Traffic.Written.Destinations[i].Hash = ""
		}
	}
	late := later(9 * time.Minute)
	for name, c := range map[string]struct {
		mods []mod
		want string
		wait string
		wake time.Duration // since noon; 0 for none
	}{
		"one without our finalizer is left as it is":      {[]mod{replaces("onsuccess", 0), deleted}, "", "", 0},
		"first the Deployment gets its pods":              {[]mod{replaces("onsuccess", 0), held, deleted}, up, "0 available pods of 4", 9 * time.Minute},
		"nothing else happens before they are there":      {[]mod{replaces("onsuccess", 0), held, deleted, back(3)}, "", "3 available pods of 4", 9 * time.Minute},
		"then the Services let go of the revision":        {[]mod{routed(25, "v1"), replaces("progressively", 0), held, deleted, back(4)}, services, "the Services are given back", 9 * time.Minute},
		"a Service of others stays theirs":                {[]mod{routed(0, "v1"), replaces("onsuccess", 0), held, deleted, back(4), func(s *snapshot) { s.Services[0].Managed, s.Services[0].Hash = false, "theirs" }}, "release service canary", "given back", 9 * time.Minute},
		"a Service that is ours by the hash alone goes":   {[]mod{routed(0, "v1"), replaces("onsuccess", 0), held, deleted, back(4), func(s *snapshot) { s.Services[0].Managed, s.Services[1].Hash = false, "" }}, services, "given back", 9 * time.Minute},
		"what settles is waited for":                      {[]mod{routed(0, "v1"), replaces("onsuccess", 0), held, deleted, back(4), free, func(s *snapshot) { s.SettledAt = s.Now.Add(2 * time.Second) }}, "", "proxies may not know", 2 * time.Second},
		"and then the Rollout may go":                     {[]mod{routed(0, "v1"), replaces("onsuccess", 0), held, deleted, back(4), free}, off, "", 9 * time.Minute},
		"a rollout without Services goes when pods do":    {[]mod{replaces("onsuccess", 0), held, deleted, back(4)}, off, "", 9 * time.Minute},
		"a Deployment that was scaled up is enough":       {[]mod{replaces("onsuccess", 7), held, deleted}, off, "", 9 * time.Minute},
		"pods that are about to go are not enough":        {[]mod{replaces("onsuccess", 0), held, deleted, func(s *snapshot) { s.Workload.Available = 4 }}, up, "0 available pods of 4", 9 * time.Minute},
		"where no pod of the rollout is left none waits":  {[]mod{routed(0, "v1"), pods("v1", 4, 0), replaces("onsuccess", 0), held, deleted}, services + "; " + up, "given back", 9 * time.Minute},
		"what cannot be read is waited for":               {[]mod{replaces("onsuccess", 0), held, deleted, gone, trouble}, "", "cannot be read", 9 * time.Minute},
		"routes that cannot be read are waited for":       {[]mod{routed(0, "v1"), replaces("onsuccess", 0), held, deleted, back(4), free, trouble}, "", "cannot be told", 9 * time.Minute},
		"but the Deployment gets its pods meanwhile":      {[]mod{replaces("onsuccess", 0), held, deleted, trouble}, up, "0 available pods", 9 * time.Minute},
		"of a number that cannot be read it gets none":    {[]mod{replaces("onsuccess", 0), held, deleted, func(s *snapshot) { s.Spec.Replicas = ptr(int32(2e9)) }}, "", "available pods", 9 * time.Minute},
		"the deadline ends every wait":                    {[]mod{routed(0, "v1"), replaces("onsuccess", 0), held, deleted, back(1), late}, services + "; " + off, "", 0},
		"also that for what cannot be read":               {[]mod{replaces("onsuccess", 0), held, deleted, gone, trouble, late}, off, "", 0},
		"a deadline of the user's own":                    {[]mod{replaces("onsuccess", 0), held, deleted, func(s *snapshot) { s.Spec.ProgressDeadlineSeconds = ptr(int32(60)) }}, off + "; " + up, "", 0},
		"a Deployment that is gone is not waited for":     {[]mod{replaces("onsuccess", 0), held, deleted, gone}, off, "", 0},
		"a mode that was taken back has nothing to give":  {[]mod{replaces("never", 0), held, deleted}, off, "", 0},
		"nor has a rollout of no pods":                    {[]mod{replaces("onsuccess", 0), held, deleted, func(s *snapshot) { s.Spec.Replicas = ptr(int32(0)) }}, off, "", 0},
		"an invalid spec is no hindrance":                 {[]mod{replaces("onsuccess", 0), held, deleted, func(s *snapshot) { s.Invalid = "bad" }}, up, "0 available pods of 4", 9 * time.Minute},
		"nothing of an update goes on":                    {[]mod{updating(1, 1), replaces("onsuccess", 0), held, deleted, func(s *snapshot) { s.Status.PromoteFull = true }}, up, "0 available pods of 4", 9 * time.Minute},
		"a blue-green Rollout gives its Services back":    {[]mod{replaces("onsuccess", 0), blueServing, held, deleted, back(4)}, services, "given back", 9 * time.Minute},
		"a router that pins revisions lets go of them":    {[]mod{routed(25, "v1"), replaces("onsuccess", 0), held, deleted, back(4), func(s *snapshot) { s.Pinned, s.Services = true, nil }}, "set split Stable stable 75 + Canary canary 25", "given back", 9 * time.Minute},
		"broken routes that pin revisions are waited for": {[]mod{routed(25, "v1"), replaces("onsuccess", 0), held, deleted, back(4), func(s *snapshot) { s.Pinned, s.Services, s.Traffic.Problem = true, nil, "no route" }}, "", "no route", 9 * time.Minute},
		"an experiment gets no more traffic": {[]mod{routed(25, "v1"), replaces("onsuccess", 0), held, deleted, back(4), func(s *snapshot) {
			d := s.Traffic.Written.Destinations
			d[0].Weight = 70
			s.Traffic.Written.Destinations = append(d, traffic.Destination{Role: traffic.Extra, Service: "x", Hash: "x", Weight: 5})
		}}, services + "; set split Stable v1 75 + Canary v1 25", "given back", 9 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			s := given(c.mods...)
			p := rollout.Decide(s)
			var want []string
			if c.want != "" {
				want = strings.Split(c.want, "; ")
			}
			does(t, p, want...)
			if got := strings.Join(waits(p), "\n"); !strings.Contains(got, c.wait) || (got == "") != (c.wait == "") {
				t.Errorf("waits for %q, want %q", got, c.wait)
			}
			if at := p.Wake; at.IsZero() != (c.wake == 0) || c.wake != 0 && !at.Equal(noon.Add(c.wake)) {
				t.Errorf("looks again at %s", at)
			}
			if d := cmp.Diff(s.Status, p.Status); d != "" {
				t.Errorf("the status changes: %s", d)
			}
		})
	}
}
