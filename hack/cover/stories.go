package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/tools/txtar"
)

// scanStories reads the section "covers" of every story.
func scanStories(root string) (tags []tag, err error) {
	files, err := filepath.Glob(filepath.Join(root, "testdata", "stories", "*.txtar"))
	if err != nil {
		return nil, fmt.Errorf("look for stories: %w", err)
	}
	for _, p := range files {
		data, err := os.ReadFile(p)
		if err != nil {
			return nil, fmt.Errorf("read story: %w", err)
		}
		name := strings.TrimSuffix(filepath.Base(p), ".txtar")
		t := tag{guard: guard{file: "testdata/stories/" + filepath.Base(p), name: name, story: true}}
		untrue := false
		for _, f := range txtar.Parse(data).Files {
			untrue = untrue || f.Name == "allow"
			if f.Name != "covers" {
				continue
			}
			for _, line := range strings.Split(strings.TrimSpace(string(f.Data)), "\n") {
				i, err := parseItem(strings.TrimSpace(line))
				if err != nil {
					return nil, fmt.Errorf("%s: %w", t.where(), err)
				}
				t.items = append(t.items, i)
			}
		}
		if untrue && len(t.items) > 0 {
			return nil, fmt.Errorf("%s: a story that does not come true guards nothing", t.where())
		}
		if len(t.items) > 0 {
			tags = append(tags, t)
		}
	}
	return tags, nil
}
