package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/penstock-io/penstock/internal/lint"
)

// exitUnreadable is the exit code of lint where it could not look at its input.
const exitUnreadable = 2

const lintShort = "Look at manifests without a cluster, and say what is wrong or unwise in them"

const lintMore = `

Input is read from files, from the *.yaml, *.yml and *.json of folders, and from "-" for standard input,
so that it may come from helm. A folder with a kustomization is built first. All manifests are taken together.

Exit codes:
  0  no error; with --strict no advice either
  1  an error was found; with --strict also an advice
  2  an input could not be read, or is no YAML`

// lint checks manifests offline.
func (s *session) lint() *cobra.Command {
	var (
		names     []string
		recursive bool
		strict    bool
		format    string
	)
	c := &cobra.Command{
		Use: "lint", Args: exactly(0), Short: lintShort, Long: lintShort + lintMore,
		RunE: func(c *cobra.Command, _ []string) error {
			if len(names) == 0 {
				return &usageError{c, `required flag(s) "filename" not set`}
			}
			if !slices.Contains([]string{"text", "json", "sarif"}, format) {
				return &usageError{c, fmt.Sprintf("unknown output %q; there are text, json, sarif", format)}
			}
			sources, err := s.sources(names, recursive)
			if err != nil {
				return exit{exitUnreadable, err}
			}
			all, err := lint.Check(sources)
			if err != nil {
				return exit{exitUnreadable, err}
			}
			return s.tell(all, format, strict)
		},
	}
	c.Flags().StringSliceVarP(&names, "filename", "f", nil, `a file, a folder, or "-" for standard input; may be repeated`)
	c.Flags().BoolVarP(&recursive, "recursive", "R", false, "also read the folders in folders")
	c.Flags().StringVarP(&format, "output", "o", "text", "text, json or sarif")
	c.Flags().BoolVar(&strict, "strict", false, "let advice fail as errors do")
	return c
}

// tell prints the findings. As text, errors go to standard output, as published, and advice
// to standard error, so that valid manifests print nothing on standard output.
func (s *session) tell(all []lint.Finding, format string, strict bool) error {
	var fails, advice []lint.Finding
	for _, f := range all {
		if strict || f.Severity == lint.Error {
			fails = append(fails, f)
		} else {
			advice = append(advice, f)
		}
	}
	text, err := lint.Text(fails), error(nil)
	switch format {
	case "json":
		text, err = lint.JSON(all)
	case "sarif":
		text, err = lint.SARIF(all)
	default:
		if _, err := io.WriteString(s.Err, lint.Text(advice)); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	if err := s.print(text); err != nil {
		return err
	}
	if len(fails) > 0 {
		return errors.New(fails[0].Message)
	}
	return nil
}
