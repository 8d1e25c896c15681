// Command cover writes the tables that say which test guards which published edge case
// (core.md §15), defect (core.md §16), field outage (rivals.md A), edge case and defect of
// analysis (analysis-traffic.md §7.1 to §7.7, §8.1 and §8.2) and edge case and defect of
// traffic (§7.8, §7.9 and §8.3): docs/edge-cases.md, docs/defects.md, docs/outages.md,
// docs/analysis-edge-cases.md, docs/analysis-defects.md, docs/traffic-edge-cases.md and
// docs/traffic-defects.md.
//
// The items stand in the text files beside this file; what guards them is told by the tests
// themselves, in comment lines of *_test.go files of both modules,
//
//	// Covers: edge 5, defect 12, outage 39, analysis edge 93.
//
// directly above a test function, above an entry of its table, behind it on its line, or
// inside it, and in the section "covers" of a story, one item a line. A number that is not listed is an error.
//
// Usage: cover [-missing] [root]. With -missing nothing is written: it prints the items
// that have neither a test nor a reason, and fails if there are any.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

func main() {
	missing := flag.Bool("missing", false, "list the items that have neither a test nor a reason, and write nothing")
	flag.Parse()
	root := "."
	if flag.NArg() > 0 {
		root = flag.Arg(0)
	}
	var list io.Writer
	if *missing {
		list = os.Stdout
	}
	if err := run(root, list); err != nil {
		fmt.Fprintln(os.Stderr, "cover:", err)
		os.Exit(1)
	}
}

// run writes the pages; or, given somewhere to list what is missing, only that.
func run(root string, missing io.Writer) error {
	lists, err := readLists(filepath.Join(root, "hack", "cover"))
	if err != nil {
		return err
	}
	tags, err := scan(root)
	if err != nil {
		return err
	}
	guards, err := join(lists, tags)
	if err != nil {
		return err
	}
	if missing != nil {
		return listMissing(missing, lists, guards)
	}
	described, err := differences(filepath.Join(root, "docs", "differences.md"))
	if err != nil {
		return err
	}
	for _, l := range lists {
		page := l.page(guards, described)
		if err := os.WriteFile(filepath.Join(root, "docs", l.file), []byte(page), 0o644); err != nil {
			return fmt.Errorf("write %s: %w", l.file, err)
		}
	}
	return nil
}

// scan collects the tags of all tests and stories.
func scan(root string) ([]tag, error) {
	tests, err := scanTests(root)
	if err != nil {
		return nil, err
	}
	stories, err := scanStories(root)
	return append(tests, stories...), err
}

// join sorts the tags to their items; every tag must name an item that exists.
func join(lists []list, tags []tag) (map[item][]guard, error) {
	known := map[item]bool{}
	for _, l := range lists {
		for _, e := range l.entries {
			known[item{l.kind, e.number}] = true
		}
	}
	guards := map[item][]guard{}
	var wrong []error
	for _, t := range tags {
		for _, i := range t.items {
			if !known[i] {
				wrong = append(wrong, fmt.Errorf("%s: there is no %s", t.where(), i))
			}
			guards[i] = append(guards[i], t.guard)
		}
	}
	return guards, errors.Join(wrong...)
}

func listMissing(w io.Writer, lists []list, guards map[item][]guard) error {
	count := 0
	for _, l := range lists {
		for _, e := range l.entries {
			if i := (item{l.kind, e.number}); len(guards[i]) == 0 && e.reason == "" {
				fmt.Fprintf(w, "%s: %s\n", i, e.title)
				count++
			}
		}
	}
	if count > 0 {
		return fmt.Errorf("%d items have neither a test nor a reason", count)
	}
	return nil
}
