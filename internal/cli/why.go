package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/rollout"
)

// Look sees one Rollout as a controller would, and tells what that would do.
type Look func(ctx context.Context, config *rest.Config, namespace, name string, now time.Time) (rollout.Snapshot, rollout.Plan, []*v1alpha1.AnalysisRun, error)

// shownEvents are how many of the latest events `why` prints.
const shownEvents = 8

func (s *session) why() *cobra.Command {
	return &cobra.Command{
		Use: "why ROLLOUT_NAME", Short: "Say what a rollout waits for, whose turn it is, and why it was taken back",
		Args: exactly(1), ValidArgsFunction: s.complete,
		RunE: func(c *cobra.Command, args []string) error {
			if s.Look == nil {
				return errors.New("this build cannot look at rollouts")
			}
			cl, err := s.connect()
			if err != nil {
				return err
			}
			ro, err := cl.rollout(c.Context(), args[0])
			if err != nil {
				return err
			}
			a := reasons{display: s.display, state: observed(ro), now: s.Now()}
			if a.seen, a.plan, a.runs, err = s.Look(c.Context(), cl.config, cl.namespace, args[0], a.now); err != nil {
				return err
			}
			if a.state.phase != v1alpha1.RolloutPhaseHealthy {
				a.events, a.unread = cl.events(c.Context(), ro)
			}
			return s.print(a.text(s.colour()))
		},
	}
}

// events are the latest ones about a Rollout and its AnalysisRuns, oldest first.
func (c *cluster) events(ctx context.Context, ro *v1alpha1.Rollout) ([]corev1.Event, error) {
	list := &corev1.EventList{}
	about := fields.OneTermEqualSelector("involvedObject.uid", string(ro.UID))
	if err := c.List(ctx, list, client.InNamespace(ro.Namespace), client.MatchingFieldsSelector{Selector: about}); err != nil {
		return nil, err
	}
	slices.SortStableFunc(list.Items, func(a, b corev1.Event) int { return a.LastTimestamp.Compare(b.LastTimestamp.Time) })
	return list.Items[max(0, len(list.Items)-shownEvents):], nil
}

// reasons is everything that `why` knows.
type reasons struct {
	display string
	state   state
	now     time.Time
	seen    rollout.Snapshot
	plan    rollout.Plan
	runs    []*v1alpha1.AnalysisRun
	events  []corev1.Event
	unread  error // why there are no events
}

func (a reasons) text(colour paint) string {
	var b strings.Builder
	word := colour.status(rolloutIcon(a.state.phase), string(a.state.phase))
	fmt.Fprintf(&b, "%s/%s  %s\n", a.seen.Namespace, a.seen.Name, strings.TrimSpace(word+"  "+a.state.message))
	if at := a.position(); at != "" {
		fmt.Fprintln(&b, at)
	}
	a.verdicts(&b)
	a.waits(&b)
	a.next(&b)
	a.untold(&b)
	if len(a.events) > 0 || a.unread != nil {
		fmt.Fprintln(&b, "\nWhat led there")
	}
	for _, e := range a.events {
		fmt.Fprintf(&b, "  %-6s%-9s%s: %s\n", duration.HumanDuration(a.now.Sub(e.LastTimestamp.Time)), e.Type, e.Reason, e.Message)
	}
	if a.unread != nil {
		fmt.Fprintf(&b, "  the events cannot be read: %v\n", a.unread)
	}
	return b.String()
}

// position is the step of a canary.
func (a reasons) position() string {
	c, st := a.seen.Spec.Strategy.Canary, &a.seen.Status
	if c == nil || len(c.Steps) == 0 || st.CurrentStepIndex == nil || st.CurrentPodHash == st.StableRS {
		return ""
	}
	i := int(*st.CurrentStepIndex)
	if i >= len(c.Steps) {
		return fmt.Sprintf("All %d steps are done", len(c.Steps))
	}
	return fmt.Sprintf("At step %d of %d: %s", i+1, len(c.Steps), rollout.StepText(&c.Steps[i]))
}

// verdicts are what measured against the update.
func (a reasons) verdicts(b *strings.Builder) {
	title := "\nJudged against it\n"
	for _, r := range a.runs {
		if !bad(r.Status.Phase) || r.Labels[v1alpha1.PodTemplateHashLabel] != a.seen.Status.CurrentPodHash {
			continue
		}
		fmt.Fprintf(b, "%s  %s %s: %s\n", title, r.Name, r.Status.Phase, cmp.Or(r.Status.Message, "it says nothing more"))
		title = ""
	}
}

func bad(p v1alpha1.AnalysisPhase) bool {
	return p == v1alpha1.AnalysisPhaseFailed || p == v1alpha1.AnalysisPhaseError || p == v1alpha1.AnalysisPhaseInconclusive
}

// waits are the closed gates, each with whose turn it is.
func (a reasons) waits(b *strings.Builder) {
	var list []rollout.Note
	for _, n := range a.plan.Notes {
		if n.Kind == rollout.Waiting && !slices.Contains(list, n) {
			list = append(list, n)
		}
	}
	if len(list) == 0 {
		fmt.Fprintln(b, "\nIt waits for nothing.")
		return
	}
	fmt.Fprintln(b, "\nIt waits for")
	for _, n := range list {
		turn, ends := n.Reason.Turn()
		fmt.Fprintf(b, "  %-12s%s: %s\n", turn, n.Reason, n.Message)
		if ends != "" {
			fmt.Fprintf(b, "  %-12suntil %s\n", "", a.commands(ends))
		}
	}
}

// untold are subscriptions that cannot be served, and messages that could not be sent yet.
func (a reasons) untold(b *strings.Builder) {
	st := a.seen.Status.Notifications
	if st == nil {
		return
	}
	title := "\nWho has not been told\n"
	say := func(format string, args ...any) {
		fmt.Fprint(b, title)
		fmt.Fprintf(b, format, args...)
		title = ""
	}
	for _, p := range st.Problems {
		say("  %s\n", p)
	}
	for _, p := range st.Pending {
		if p.Failure != "" {
			to := strings.TrimSuffix(p.Service+":"+p.Recipient, ":")
			say("  %s has not been told of %s, %s ago: %s; it is tried again\n", to, p.Trigger, duration.HumanDuration(a.now.Sub(p.At.Time)), p.Failure)
		}
	}
}

func (a reasons) commands(text string) string {
	command := func(verb string) string { return fmt.Sprintf("`%s %s %s`", a.display, verb, a.seen.Name) }
	return strings.NewReplacer("PROMOTE", command("promote"), "ABORT", command("abort"), "RETRY", command("retry rollout")).Replace(text)
}

// next is what a controller would do this moment. One that runs has done it already, so
// that what is here for long says that none runs, or that it cannot.
func (a reasons) next(b *strings.Builder) {
	if len(a.plan.Actions) > 0 {
		fmt.Fprintln(b, "\nNow to be done")
	}
	for _, x := range a.plan.Actions {
		fmt.Fprintf(b, "  %s\n", x)
	}
	if w := a.plan.Wake; w.After(a.now) {
		fmt.Fprintf(b, "\nLooked at again in %s, and at every change.\n", duration.HumanDuration(w.Sub(a.now)))
	}
}
