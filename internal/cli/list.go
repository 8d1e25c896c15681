package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/duration"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// stampLayout is how --timestamps prints the time.
const stampLayout = "2006-01-02T15:04:05Z"

// column of a list: its title, and the published least width; cell is what an object has there.
type column struct {
	title string
	least int
	cell  func(o client.Object, now time.Time) string
	// restless: it changes by itself, so a watch does not look at it.
	restless bool
}

// listing is one call of list.
type listing struct {
	*session
	noun          noun
	columns, more []column // more are those of a wide list
	scope         scope
	output        output
	name          string
	watch, stamps bool
}

func (s *session) list() *cobra.Command {
	r := s.listOf(aRollout, rolloutColumns(), rolloutMore(), "List rollouts", "ro", "rollout")
	x := s.listOf(anExperiment, experimentColumns(), experimentMore(), "List experiments", "exp", "experiment")
	return group("list", "List rollouts or experiments", nil, r, x)
}

func (s *session) listOf(n noun, columns, more []column, short string, aliases ...string) *cobra.Command {
	l := &listing{session: s, noun: n, columns: columns, more: more}
	c := &cobra.Command{
		Use: n.plural(), Aliases: aliases, Short: short, Args: exactly(0), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error { return l.run(c) },
	}
	l.scope.flags(c)
	l.output.flags(c)
	c.Flags().StringVar(&l.name, "name", "", "only the one with this name")
	c.Flags().BoolVarP(&l.watch, "watch", "w", false, "go on with a line for whatever changes")
	c.Flags().BoolVar(&l.stamps, "timestamps", false, "begin each line with the time")
	return c
}

func (l *listing) run(c *cobra.Command) error {
	encode, err := l.output.printer(c)
	if err != nil {
		return err
	}
	cl, err := l.connect()
	if err != nil {
		return err
	}
	n := l.noun
	if encode != nil {
		n = n.untyped()
	}
	f, err := l.scope.feed(cl, n)
	if err != nil {
		return err
	}
	if l.name != "" {
		by := fields.OneTermEqualSelector("metadata.name", l.name)
		f.options = append(f.options, client.MatchingFieldsSelector{Selector: by})
	}
	switch {
	case l.watch:
		return l.follow(c.Context(), cl, f, encode)
	case encode != nil:
		return cl.printList(c.Context(), f, encode, l.Out)
	}
	u, _, err := f.read(c.Context(), cl)
	if err != nil {
		return err
	}
	if len(u.objects) == 0 {
		return l.nothing()
	}
	return l.print(newSheet(l).add(sorted(u.objects), l.Now()))
}

// follow prints what is there, and then whatever changes, until ctx ends.
func (l *listing) follow(ctx context.Context, c *cluster, f feed, encode printer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	updates := make(chan update)
	go f.follow(ctx, c, updates)
	sheet := newSheet(l)
	for first := true; ; first = false {
		var u update
		select {
		case <-ctx.Done():
			return nil
		case u = <-updates:
		}
		if u.err != nil {
			return quietly(ctx, u.err)
		}
		if first && len(u.objects) == 0 {
			if err := l.nothing(); err != nil {
				return err
			}
		}
		if encode == nil {
			if err := l.print(sheet.add(sheet.news(u.objects), l.Now()) + sheet.gone(u.objects, l.Now())); err != nil {
				return err
			}
			continue
		}
		for _, o := range sheet.news(u.objects) {
			if err := encode(o, l.Out); err != nil {
				return err
			}
		}
	}
}

// sheet lays lines of a list out as they come: later ones keep to the columns of the first.
type sheet struct {
	columns []column
	widths  []int
	stamps  bool
	said    map[types.UID]line
}

// line is what was last printed of an object.
type line struct {
	object client.Object
	text   string
}

func newSheet(l *listing) *sheet {
	s := &sheet{stamps: l.stamps, said: map[types.UID]line{}}
	if l.scope.all {
		s.columns = []column{{title: "NAMESPACE", least: 9, cell: func(o client.Object, _ time.Time) string { return o.GetNamespace() }}}
	}
	s.columns = append(s.columns, l.columns...)
	if l.output.wide() {
		s.columns = append(s.columns, l.more...)
	}
	return s
}

// news are the objects that would print otherwise than they last did.
func (s *sheet) news(objects map[types.UID]client.Object) []client.Object {
	return slices.DeleteFunc(sorted(objects), func(o client.Object) bool {
		was, said := s.said[o.GetUID()]
		now := s.essence(o)
		s.said[o.GetUID()] = line{o, now}
		return said && was.text == now
	})
}

// essence is what makes an object worth a new line: for programs, any change.
func (s *sheet) essence(o client.Object) string {
	if _, untyped := o.(interface{ UnstructuredContent() map[string]any }); untyped {
		return o.GetResourceVersion()
	}
	var cells []string
	for _, c := range s.columns {
		if !c.restless {
			cells = append(cells, c.cell(o, time.Time{}))
		}
	}
	return strings.Join(cells, "\x00")
}

// add lays out lines, under the titles if they are the first.
func (s *sheet) add(objects []client.Object, now time.Time) string {
	var rows [][]string
	for _, o := range objects {
		var row []string
		for _, c := range s.columns {
			row = append(row, c.cell(o, now))
		}
		rows = append(rows, row)
	}
	return s.layOut(rows, now)
}

// gone lays out a line for each object that is no longer there.
func (s *sheet) gone(objects map[types.UID]client.Object, now time.Time) string {
	var rows [][]string
	for uid, l := range s.said {
		if objects[uid] != nil {
			continue
		}
		delete(s.said, uid)
		row := make([]string, len(s.columns))
		for i, c := range s.columns {
			switch c.title {
			case "NAMESPACE", "NAME":
				row[i] = c.cell(l.object, now)
			case "STATUS":
				row[i] = "Deleted"
			default:
				row[i] = "-"
			}
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, slices.Compare[[]string])
	return s.layOut(rows, now)
}

func (s *sheet) layOut(rows [][]string, now time.Time) string {
	if len(rows) == 0 {
		return ""
	}
	stamp := now.UTC().Format(stampLayout)
	if s.widths == nil {
		titles := make([]string, len(s.columns))
		s.widths = make([]int, len(s.columns))
		for i, c := range s.columns {
			titles[i], s.widths[i] = c.title, max(c.least, width(c.title))
			for _, r := range rows {
				s.widths[i] = max(s.widths[i], width(r[i]))
			}
		}
		rows = slices.Insert(rows, 0, titles)
	}
	var b strings.Builder
	for i, r := range rows {
		if s.stamps && i == 0 && r[0] == s.columns[0].title {
			b.WriteString(pad("TIMESTAMP", len(stampLayout)) + "  ")
		} else if s.stamps {
			b.WriteString(stamp + "  ")
		}
		text := ""
		for i, cell := range r {
			text += pad(cell, s.widths[i]) + "  "
		}
		b.WriteString(strings.TrimRight(text, " ") + "\n")
	}
	return b.String()
}

// of makes a column of a typed object's cell.
func of[T client.Object](title string, least int, cell func(o T) string) column {
	return column{title: title, least: least, cell: func(o client.Object, _ time.Time) string {
		if t, ok := o.(T); ok {
			return cell(t)
		}
		return ""
	}}
}

func nameColumn() column {
	return column{title: "NAME", least: 10, cell: func(o client.Object, _ time.Time) string { return o.GetName() }}
}

func ageColumn() column {
	return column{title: "AGE", least: 4, restless: true, cell: func(o client.Object, now time.Time) string {
		since := o.GetCreationTimestamp()
		if since.IsZero() {
			return "-"
		}
		return duration.HumanDuration(max(0, now.Sub(since.Time)))
	}}
}

// rolloutColumns are the published ones.
func rolloutColumns() []column {
	number := func(n int32) string { return strconv.Itoa(int(n)) }
	type R = *v1alpha1.Rollout
	return []column{
		nameColumn(),
		of("STRATEGY", 9, strategyOf),
		of("STATUS", 12, func(r R) string { return string(observed(r).phase) }),
		of("STEP", 4, func(r R) string {
			if r.Spec.Strategy.Canary == nil {
				return "-"
			}
			return cmp.Or((&world{rollout: *r}).step(), "-")
		}),
		of("SET-WEIGHT", 10, func(r R) string {
			if r.Spec.Strategy.Canary == nil {
				return "-"
			}
			wanted, _ := (&world{rollout: *r}).weights()
			return number(wanted)
		}),
		of("READY", 5, func(r R) string { return fmt.Sprintf("%d/%d", r.Status.ReadyReplicas, r.Status.Replicas) }),
		of("DESIRED", 7, func(r R) string { return number(r.Spec.ReplicasOrDefault()) }),
		of("UP-TO-DATE", 10, func(r R) string { return number(r.Status.UpdatedReplicas) }),
		of("AVAILABLE", 9, func(r R) string { return number(r.Status.AvailableReplicas) }),
	}
}

func strategyOf(r *v1alpha1.Rollout) string {
	switch {
	case r.Spec.Strategy.Canary != nil:
		return "Canary"
	case r.Spec.Strategy.BlueGreen != nil:
		return "BlueGreen"
	}
	return "unknown"
}

// rolloutMore are the columns of a wide list.
func rolloutMore() []column {
	type R = *v1alpha1.Rollout
	return []column{ageColumn(),
		of("IMAGES", 6, func(r R) string {
			var images []string
			for _, c := range r.Spec.Template.Spec.Containers {
				images = append(images, c.Image)
			}
			return cmp.Or(strings.Join(images, ","), "-")
		}),
		of("MESSAGE", 7, func(r R) string { return cmp.Or(observed(r).message, "-") }),
	}
}

// experimentColumns are the published ones.
func experimentColumns() []column {
	type X = *v1alpha1.Experiment
	left := column{title: "REMAINING", least: 9, restless: true, cell: func(o client.Object, now time.Time) string {
		x, ok := o.(X)
		if !ok || x.Status.Phase.Completed() || x.Status.AvailableAt == nil {
			return "-"
		}
		d, err := x.Spec.Duration.Duration()
		if err != nil || x.Spec.Duration == "" {
			return "-"
		}
		return duration.HumanDuration(max(0, x.Status.AvailableAt.Add(d).Sub(now)))
	}}
	return []column{nameColumn(), of("STATUS", 12, func(x X) string { return cmp.Or(string(x.Status.Phase), "-") }),
		of("DURATION", 8, func(x X) string { return cmp.Or(string(x.Spec.Duration), "-") }), left, ageColumn()}
}

func experimentMore() []column {
	type X = *v1alpha1.Experiment
	return []column{of("TEMPLATES", 9, func(x X) string {
		var names []string
		for _, t := range x.Spec.Templates {
			names = append(names, t.Name)
		}
		return cmp.Or(strings.Join(names, ","), "-")
	}), of("MESSAGE", 7, func(x X) string { return cmp.Or(x.Status.Message, "-") })}
}
