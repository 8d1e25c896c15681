package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/penstock-io/penstock/internal/notify"
)

// notice is what the commands about notifications have in common.
type notice struct {
	*session
	configMap, secret, output string
	recipients                []string
}

func (s *session) notifications() *cobra.Command {
	n := &notice{session: s}
	c := group("notifications", "Try what notifications say, and when", nil,
		group("template", "Look at templates, and send one", nil, n.getTemplates(), n.sendTemplate()),
		group("trigger", "Look at triggers, and evaluate one", nil, n.getTriggers(), n.runTrigger()), n.subscriptions())
	c.PersistentFlags().StringVar(&n.configMap, "config-map", "", "a file with the ConfigMap "+notify.ConfigMapName+" instead of the cluster's, or - for standard input")
	c.PersistentFlags().StringVar(&n.secret, "secret", "", "a file with the Secret "+notify.SecretName+" instead of the cluster's, or :empty for none")
	return c
}

func (n *notice) getTemplates() *cobra.Command {
	return n.getter("templates", func(c *notify.Config, name string, w *tabwriter.Writer) (any, error) {
		items, err := chosen(c.Templates, "template", name)
		if err != nil || w == nil {
			return items, err
		}
		fmt.Fprint(w, "NAME\tPREVIEW\n")
		for _, key := range slices.Sorted(maps.Keys(items)) {
			preview := items[key]
			fmt.Fprintf(w, "%s\t%s\n", key, preview.Preview())
		}
		return items, nil
	})
}

func (n *notice) getTriggers() *cobra.Command {
	return n.getter("triggers", func(c *notify.Config, name string, w *tabwriter.Writer) (any, error) {
		items, err := chosen(c.Triggers, "trigger", name)
		if err != nil || w == nil {
			return items, err
		}
		fmt.Fprint(w, "NAME\tTEMPLATE\tCONDITION\n")
		for _, key := range slices.Sorted(maps.Keys(items)) {
			shown := key
			for _, condition := range items[key] {
				fmt.Fprintf(w, "%s\t%s\t%s\n", shown, strings.Join(condition.Send, ", "), condition.When)
				shown = ""
			}
		}
		return items, nil
	})
}

// getter is the command that shows all of a kind, or one. show gives what there is, and draws
// the table where there is a writer.
func (n *notice) getter(what string, show func(c *notify.Config, name string, w *tabwriter.Writer) (any, error)) *cobra.Command {
	c := &cobra.Command{Use: "get [NAME]", Short: "Show the " + what + " that are configured", Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			name := strings.Join(args, "")
			wide := n.output == "" || n.output == "wide"
			if !wide && !slices.Contains([]string{"name", "json", "yaml"}, n.output) {
				return &usageError{c, fmt.Sprintf("--output: want wide, name, json or yaml, got %q", n.output)}
			}
			config, err := n.config(c.Context())
			if err != nil {
				return err
			}
			var w *tabwriter.Writer
			if wide {
				w = tabwriter.NewWriter(n.Out, 5, 0, 2, ' ', 0) // as published
			}
			items, err := show(config, name, w)
			if err != nil {
				return err
			}
			if wide {
				return w.Flush()
			}
			return n.encode(items)
		}}
	c.Flags().StringVarP(&n.output, "output", "o", "wide", "wide, name, json or yaml")
	return c
}

// encode prints a map for programs.
func (n *notice) encode(items any) error {
	text, err := json.MarshalIndent(items, "", "  ")
	if err != nil {
		return err
	}
	switch n.output {
	case "json":
		return n.print(string(text) + "\n")
	case "yaml":
		if text, err = yaml.JSONToYAML(text); err != nil {
			return err
		}
		return n.print(string(text))
	}
	names := map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &names); err != nil {
		return err
	}
	return n.print(strings.Join(slices.Sorted(maps.Keys(names)), "\n") + "\n")
}

// chosen are all, or the one of the name.
func chosen[V any](all map[string]V, kind, name string) (map[string]V, error) {
	if name == "" {
		return all, nil
	}
	one, there := all[name]
	if !there {
		return nil, fmt.Errorf("there is no %s %q; there are %s", kind, name, oneOf(slices.Sorted(maps.Keys(all))))
	}
	return map[string]V{name: one}, nil
}

func oneOf(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

func (n *notice) runTrigger() *cobra.Command {
	return &cobra.Command{
		Use: "run NAME RESOURCE", Short: "Say whether the conditions of a trigger hold for a rollout, which may be a file",
		Args: exactly(2),
		RunE: func(c *cobra.Command, args []string) error {
			config, subject, err := n.both(c.Context(), args[1])
			if err != nil {
				return err
			}
			vars, err := config.Vars(subject)
			if err != nil {
				return err
			}
			conditions, err := config.Conditions(args[0], vars)
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(n.Out, 5, 0, 2, ' ', 0)
			fmt.Fprint(w, "CONDITION\tRESULT\n")
			for _, x := range conditions {
				fmt.Fprintf(w, "%s\t%v\n", x.When, x.Met)
			}
			return w.Flush()
		},
	}
}

func (n *notice) subscriptions() *cobra.Command {
	return &cobra.Command{
		Use: "subscriptions RESOURCE", Short: "Say who is told about a rollout, which may be a file, and at which trigger",
		Args: exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			config, subject, err := n.both(c.Context(), args[0])
			if err != nil {
				return err
			}
			all, problems := config.Destinations(&unstructured.Unstructured{Object: subject.Rollout})
			for _, p := range problems {
				fmt.Fprintln(n.Err, "Warning:", p)
			}
			if len(all) == 0 {
				fmt.Fprintln(n.Err, "Nobody is told.")
				return nil
			}
			w := tabwriter.NewWriter(n.Out, 5, 0, 2, ' ', 0)
			fmt.Fprint(w, "TRIGGER\tSERVICE\tRECIPIENT\n")
			for _, trigger := range slices.Sorted(maps.Keys(all)) {
				for _, d := range all[trigger] {
					fmt.Fprintf(w, "%s\t%s\t%s\n", trigger, d.Service, d.Recipient)
				}
			}
			return w.Flush()
		},
	}
}

func (n *notice) sendTemplate() *cobra.Command {
	c := &cobra.Command{
		Use: "notify NAME RESOURCE", Short: "Make a message about a rollout, which may be a file, and send it",
		Args: exactly(2),
		RunE: func(c *cobra.Command, args []string) error {
			config, subject, err := n.both(c.Context(), args[1])
			if err != nil {
				return err
			}
			config.Add("console", notify.Console(n.Out))
			var errs []error
			for _, r := range n.recipients {
				service, recipient, _ := strings.Cut(r, ":")
				to := notify.Destination{Service: service, Recipient: recipient}
				m, err := config.Message(args[:1], subject, to)
				if err == nil {
					err = config.Send("", m, to)
				}
				if err != nil {
					errs = append(errs, fmt.Errorf("notify %s: %v", r, err)) // no %w: it is not the cluster that does not answer
				}
			}
			return errors.Join(errs...)
		},
	}
	c.Flags().StringArrayVar(&n.recipients, "recipient", []string{"console:stdout"}, "who gets it, as SERVICE:RECIPIENT; may be repeated")
	return c
}

// both reads the configuration and what a message is about.
func (n *notice) both(ctx context.Context, resource string) (*notify.Config, notify.Subject, error) {
	config, err := n.config(ctx)
	if err != nil {
		return nil, notify.Subject{}, err
	}
	subject, err := n.subject(ctx, resource)
	return config, subject, err
}
