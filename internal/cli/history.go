package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
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
	isOvertaken = "superseded" // before it had ended
)

// changeCause is the annotation in which kubectl's users say why; a Rollout's goes to its
// ReplicaSets.
const changeCause = "kubernetes.io/change-cause"

// maxBrief is how many parts of a template a table names.
const maxBrief = 3

// chapter is one revision of a history.
type chapter struct {
	Revision int64       `json:"revision"`
	Hash     string      `json:"hash"`
	Images   []string    `json:"images"`
	Created  metav1.Time `json:"created"`
	Pods     int32       `json:"pods"`
	// Ended is stable, under way, aborted, taken back, replaced or superseded; Why is a sentence
	// about it.
	Ended string `json:"ended"`
	Why   string `json:"why,omitempty"`
	// Seconds is how long its update took, without the time that people held it up; 0 where
	// nobody knows.
	Seconds int64 `json:"seconds,omitempty"`
	// ChangedBy is the field manager that wrote the template.
	ChangedBy string `json:"changedBy,omitempty"`
	// Changed are the parts of the template that differ from the revision before; none for the
	// oldest.
	Changed []string `json:"changed,omitempty"`
	// Cause is what the annotation kubernetes.io/change-cause says.
	Cause string `json:"cause,omitempty"`
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
	rows := [][]string{{"REVISION", "IMAGES", "AGE", "PODS", "TOOK", "CHANGED BY", "CHANGED", "ENDED", "WHY"}}
	for _, c := range all {
		took := ""
		if c.Seconds > 0 {
			took = duration.HumanDuration(time.Duration(c.Seconds) * time.Second)
		}
		rows = append(rows, []string{fmt.Sprint(c.Revision), strings.Join(c.Images, ","), w.age(c.Created), fmt.Sprint(c.Pods),
			cmp.Or(took, "-"), cmp.Or(c.ChangedBy, "-"), brief(c.Changed), c.Ended, c.Why})
	}
	var b strings.Builder
	writeTable(&b, rows)
	return b.String()
}

// chapters are the revisions whose ReplicaSets are still there, newest first.
func (w *world) chapters() []chapter {
	all := []chapter{}
	next := int64(0)
	sets := w.sets()
	records := map[string]v1alpha1.PreviousUpdate{}
	for i, rs := range sets {
		c := chapter{Revision: revisionOf(rs), Hash: rs.Labels[v1alpha1.PodTemplateHashLabel], Created: rs.CreationTimestamp, Pods: rs.Status.Replicas,
			ChangedBy: rs.Annotations[v1alpha1.ChangedByAnnotation], Cause: rs.Annotations[changeCause]}
		for _, x := range rs.Spec.Template.Spec.Containers {
			c.Images = append(c.Images, x.Image)
		}
		if u := v1alpha1.PreviousUpdateOf(rs); u.Hash != "" {
			if _, newer := records[u.Hash]; !newer {
				records[u.Hash] = u
			}
		}
		record := records[c.Hash]
		c.Seconds = record.Seconds
		c.Ended, c.Why = w.ending(rs, next, record)
		if c.Hash == w.rollout.Status.CurrentPodHash {
			c.ChangedBy, c.Seconds = cmp.Or(c.ChangedBy, v1alpha1.ChangedBy(&w.rollout)), w.took()
		}
		if i+1 < len(sets) {
			c.Changed = changedParts(sets[i+1], rs)
		}
		next = c.Revision
		all = append(all, c)
	}
	return all
}

// changedParts names the parts of the template in which a revision differs from an older one.
func changedParts(old, now *appsv1.ReplicaSet) []string {
	d, err := compare(old, now)
	if err != nil {
		return nil
	}
	return d.parts()
}

// brief are the first few of a list.
func brief(list []string) string {
	if len(list) > maxBrief {
		return fmt.Sprintf("%s +%d", strings.Join(list[:maxBrief], ","), len(list)-maxBrief)
	}
	return cmp.Or(strings.Join(list, ","), "-")
}

// ending says how a revision ended; next is the one after it, which may have kept a record.
func (w *world) ending(rs *appsv1.ReplicaSet, next int64, record v1alpha1.PreviousUpdate) (ended, why string) {
	hash, st := rs.Labels[v1alpha1.PodTemplateHashLabel], &w.rollout.Status
	verdict := w.verdict(hash)
	switch {
	case hash == st.StableRS:
		return isStable, ""
	case hash == st.CurrentPodHash && (st.Abort || st.AbortedAt != nil):
		return isAborted, cmp.Or(verdict, observed(&w.rollout).message)
	case hash == st.CurrentPodHash:
		return isUnderWay, observed(&w.rollout).line()
	case record.Status == v1alpha1.CompletionAborted:
		return isAborted, cmp.Or(verdict, record.Message)
	case verdict != "":
		return isTakenBack, verdict
	case record.Status == v1alpha1.CompletionSuperseded:
		return isOvertaken, fmt.Sprintf("by revision %d", next)
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
