package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/penstock-io/penstock/internal/lint"
)

// unreadable is an input that lint could not look at.
type unreadable struct{ error }

const lintShort = "Look at manifests without a cluster, and say what is wrong or unwise in them"

const lintMore = `

Input is read from files, from the *.yaml, *.yml and *.json of folders, and from "-" for standard input,
so that it may come from kustomize or helm. All manifests are taken together.

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
				return unreadable{err}
			}
			all, err := lint.Check(sources)
			if err != nil {
				return unreadable{err}
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

// sources reads what the names stand for, each file once.
func (s *session) sources(names []string, recursive bool) (all []lint.Source, err error) {
	seen := map[string]bool{}
	add := func(name string, read func() ([]byte, error)) error {
		if seen[name] {
			return nil
		}
		seen[name] = true
		data, err := read()
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		all = append(all, lint.Source{Name: name, Data: data})
		return nil
	}
	for _, name := range names {
		if name == "-" {
			if s.In == nil {
				return nil, errors.New("there is no standard input")
			}
			if err := add("stdin", func() ([]byte, error) { return io.ReadAll(s.In) }); err != nil {
				return nil, err
			}
			continue
		}
		files, err := filesOf(name, recursive)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			if err := add(file, func() ([]byte, error) { return os.ReadFile(file) }); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// filesOf is the file itself, or the manifests of a folder in the order of their names.
func filesOf(name string, recursive bool) (files []string, err error) {
	err = filepath.WalkDir(name, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path == name && !d.IsDir():
			files = append(files, path)
		case d.IsDir() && path != name && !recursive:
			return filepath.SkipDir
		case !d.IsDir() && slices.Contains([]string{".yaml", ".yml", ".json"}, strings.ToLower(filepath.Ext(path))):
			files = append(files, path)
		}
		return nil
	})
	if err == nil && len(files) == 0 {
		return nil, fmt.Errorf("folder %s has no *.yaml, *.yml or *.json", name)
	}
	return files, err
}
