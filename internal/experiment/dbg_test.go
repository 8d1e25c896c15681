package experiment
import "testing"
func TestDbg(t *testing.T) {
	w := newTrial(t, 97, nil)
	w.decide = func(s Snapshot) Plan { p := Decide(s)
		t.Logf("%s phase=%s term=%v tmpl=%s repl=%v listed=%v sending=%v lastSent=%v", s.Now.Format("04:05"), s.Status.Phase, s.Spec.Terminate, s.Spec.Templates[0].Name, *s.Spec.Templates[0].Replicas, w.listed, w.sending, w.lastSent)
		for _, x := range s.Sets { t.Logf("     set %s %s cur=%v des=%d av=%d obs=%v ret=%v routed=%v", x.Name, x.Hash, x.Current, x.Desired, x.Available, x.Observed, x.RetireAt.Format("04:05"), x.Routed) }
		for _, x := range s.Status.TemplateStatuses { t.Logf("     st %s %s %s", x.Name, x.Status, x.PodTemplateHash) }
		t.Logf("     -> %v", p.Actions)
		return p }
	for range 80 { w.round(); w.happen(); w.rollout(); if len(w.broken)>0 { t.Fatal(w.broken) } }
}
