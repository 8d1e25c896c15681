package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// How a revision ended, as far as the cluster still knows.
const (
	isStable    = "stable"
	isUnderWay  = "under way"
	isAborted   = "aborted"
	isTakenBack = "taken back"
	isReplaced  = "replaced"
)

// chapter is one revision of a history.
type chapter struct {
	Revision int64       `json:"revision"`
	Hash     string      `json:"hash"`
	Images   []string    `json:"images"`
	Created  metav1.Time `json:"created"`
	Pods     int32       `json:"pods"`
	// Ended is stable, under way, aborted, taken back or replaced; Why is a sentence about it.
	Ended string `json:"ended"`
	Why   string `json:"why,omitempty"`
	// Seconds is how long its update took; 0 where nobody knows.
	Seconds int64 `json:"seconds,omitempty"`
	// ChangedBy is the field manager that wrote the template, known of the newest only.
	ChangedBy string `json:"changedBy,omitempty"`
}

func (s *session) history() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use: "history ROLLOUT_NAME", Short: "List the revisions: their images, who changed them, and how each ended",
		Args: exactly(1), ValidArgsFunction: s.complete,
		RunE: func(c *cobra.Command, args []string) error {
			if output != "" && output != "json" {
				return &usageError{c, fmt.Sprintf("--output: want json, got %q", output)}
			}
			cl, err := s.connect()
			if err != nil {
				return err
			}
			w, err := s.about(c.Context(), cl, args[0], aReplicaSet, anAnalysisRun)
			if err != nil {
				return err
			}
			w.now = s.Now()
			all := w.chapters()
			if output == "json" {
				text, err := json.MarshalIndent(all, "", "  ")
				if err != nil {
					return err
				}
				return s.print(string(text) + "\n")
			}
			return s.print(w.told(all))
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "", "json, or nothing for a table")
	return c
}

// told is the history as a table.
func (w *world) told(all []chapter) string {
	rows := [][]string{{"REVISION", "IMAGES", "AGE", "PODS", "TOOK", "CHANGED BY", "ENDED", "WHY"}}
	for _, c := range all {
		took := ""
		if c.Seconds > 0 {
			took = duration.HumanDuration(time.Duration(c.Seconds) * time.Second)
		}
		rows = append(rows, []string{fmt.Sprint(c.Revision), strings.Join(c.Images, ","), w.age(c.Created), fmt.Sprint(c.Pods),
			cmp.Or(took, "-"), cmp.Or(c.ChangedBy, "-"), c.Ended, c.Why})
	}
	var b strings.Builder
	writeTable(&b, rows)
	return b.String()
}

// chapters are the revisions whose ReplicaSets are still there, newest first.
func (w *world) chapters() []chapter {
	all := []chapter{}
	next := int64(0)
	for _, rs := range w.sets() {
		c := chapter{Revision: revisionOf(rs), Hash: rs.Labels[v1alpha1.PodTemplateHashLabel], Created: rs.CreationTimestamp, Pods: rs.Status.Replicas}
		for _, x := range rs.Spec.Template.Spec.Containers {
			c.Images = append(c.Images, x.Image)
		}
		c.Ended, c.Why = w.ending(rs, next)
		if c.Hash == w.rollout.Status.CurrentPodHash {
			c.ChangedBy, c.Seconds = templateManager(w.rollout.ManagedFields), w.took()
		}
		next = c.Revision
		all = append(all, c)
	}
	return all
}

// ending says how a revision ended; next is the one after it.
func (w *world) ending(rs *appsv1.ReplicaSet, next int64) (ended, why string) {
	hash, st := rs.Labels[v1alpha1.PodTemplateHashLabel], &w.rollout.Status
	verdict := w.verdict(hash)
	switch {
	case hash == st.StableRS:
		return isStable, ""
	case hash == st.CurrentPodHash && (st.Abort || st.AbortedAt != nil):
		return isAborted, cmp.Or(verdict, observed(&w.rollout).message)
	case hash == st.CurrentPodHash:
		return isUnderWay, observed(&w.rollout).line()
	case verdict != "":
		return isTakenBack, verdict
	case next > 0:
		return isReplaced, fmt.Sprintf("by revision %d", next)
	}
	return isReplaced, ""
}

// verdict is what an analysis said against a revision.
func (w *world) verdict(hash string) string {
	for _, r := range w.analyses() {
		if r.Labels[v1alpha1.PodTemplateHashLabel] == hash && (r.Status.Phase == v1alpha1.AnalysisPhaseFailed || r.Status.Phase == v1alpha1.AnalysisPhaseError) {
			return fmt.Sprintf("%s %s: %s", r.Name, r.Status.Phase, cmp.Or(r.Status.Message, "it says nothing more"))
		}
	}
	return ""
}

// took is how long the newest update took, pauses by people left out.
func (w *world) took() int64 {
	d := w.rollout.Status.Duration
	if d == nil || d.RolloutStartedAt == nil || d.FinishedAt == nil {
		return 0
	}
	return max(0, int64(d.FinishedAt.Sub(d.RolloutStartedAt.Time).Seconds())-d.TotalManualPauseDurationSeconds)
}

// templateManager is who wrote the template, or what names it, last.
func templateManager(list []metav1.ManagedFieldsEntry) string {
	var last metav1.ManagedFieldsEntry
	for _, e := range list {
		if e.Subresource != "" || e.FieldsV1 == nil || e.Time == nil || last.Time != nil && e.Time.Before(last.Time) {
			continue
		}
		var owns struct {
			Spec map[string]json.RawMessage `json:"f:spec"`
		}
		if json.Unmarshal(e.FieldsV1.Raw, &owns) != nil {
			continue
		}
		if slices.ContainsFunc([]string{"f:template", "f:workloadRef"}, func(f string) bool { _, is := owns.Spec[f]; return is }) {
			last = e
		}
	}
	return last.Manager
}
