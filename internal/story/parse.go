package story

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/tools/txtar"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/analysis"
)

// Story is one parsed story.
type Story struct {
	// Purpose is its sentence.
	Purpose string
	// Manifests are all its YAML documents, those of included folders first.
	Manifests []Manifest
	// Rollout is the one to play; Templates are those that it may name.
	Rollout   v1alpha1.Rollout
	Templates analysis.Templates
	// Script is what happens; Log is the expected log, "" for none yet.
	Script []Line
	Log    string
	// Covers are the published edge cases, defects and field outages that it guards, as
	// "edge 5", "defect 12" or "outage 39" (hack/cover makes tables of them).
	Covers []string
	// Allow says why the script is known not to come true today; "" for a sound story.
	Allow string
}

// Manifest is one YAML document. File is its path in the archive or the included tree.
type Manifest struct {
	File string
	Text []byte
}

// Line is one line of a script.
type Line struct {
	// Number counts from 1 within the script.
	Number int
	// Words are its words; Text is the line as written, without its comment.
	Words []string
	Text  string
}

// Parse reads a story. Folders that it includes are looked up in root, which may be nil
// for a story that includes nothing.
func Parse(data []byte, root fs.FS) (Story, error) {
	archive := txtar.Parse(data)
	s := Story{Purpose: strings.TrimSpace(string(archive.Comment)),
		Templates: analysis.Templates{Namespaced: map[string]v1alpha1.AnalysisTemplateSpec{}, Cluster: map[string]v1alpha1.AnalysisTemplateSpec{}}}
	if s.Purpose == "" {
		return s, errors.New("the story has no sentence of purpose before its first file")
	}
	var extra []Manifest
	for _, f := range archive.Files {
		var err error
		switch {
		case f.Name == "include":
			err = s.include(f.Data, root)
		case path.Ext(f.Name) == ".yaml":
			extra, err = appendDocuments(extra, f.Name, f.Data)
		case f.Name == "script":
			s.Script, err = parseScript(f.Data)
		case f.Name == "log":
			s.Log = string(f.Data)
		case f.Name == "allow":
			s.Allow = strings.TrimSpace(string(f.Data))
		case f.Name == "covers":
			s.Covers, err = parseCovers(f.Data)
		default:
			err = errors.New("a story has include, *.yaml, script, covers, allow and log")
		}
		if err != nil {
			return s, fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	s.Manifests = append(s.Manifests, extra...)
	return s, s.decode()
}

// include takes every manifest of the named folders.
func (s *Story) include(list []byte, root fs.FS) error {
	for _, dir := range strings.Fields(string(list)) {
		if root == nil {
			return fmt.Errorf("folder %s cannot be included from here", dir)
		}
		files, err := fs.Glob(root, path.Join(dir, "*.yaml"))
		if err != nil || len(files) == 0 {
			return fmt.Errorf("folder %s has no manifests", dir)
		}
		for _, name := range files {
			if path.Base(name) == "kustomization.yaml" {
				continue
			}
			data, err := fs.ReadFile(root, name)
			if err != nil {
				return fmt.Errorf("read %s: %w", name, err)
			}
			if s.Manifests, err = appendDocuments(s.Manifests, name, data); err != nil {
				return err
			}
		}
	}
	return nil
}

func appendDocuments(list []Manifest, file string, data []byte) ([]Manifest, error) {
	r := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for {
		doc, err := r.Read()
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		var any map[string]any
		if err := yaml.Unmarshal(doc, &any); err != nil {
			return nil, fmt.Errorf("decode %s: %w", file, err)
		}
		if len(any) > 0 {
			list = append(list, Manifest{file, doc})
		}
	}
}

// decode finds the Rollout and the templates. A second Rollout is for the verb apply.
func (s *Story) decode() error {
	found := false
	for _, m := range s.Manifests {
		kind, err := kindOf(m)
		if err != nil {
			return err
		}
		switch kind {
		case "Rollout":
			if found {
				continue
			}
			found = true
			if s.Rollout, err = decodeRollout(m); err != nil {
				return err
			}
		case "AnalysisTemplate":
			var t v1alpha1.AnalysisTemplate
			err = decodeStrict(m, &t)
			s.Templates.Namespaced[t.Name] = t.Spec
		case "ClusterAnalysisTemplate":
			var t v1alpha1.ClusterAnalysisTemplate
			err = decodeStrict(m, &t)
			s.Templates.Cluster[t.Name] = t.Spec
		}
		if err != nil {
			return fmt.Errorf("decode %s: %w", m.File, err)
		}
	}
	switch one := s.Rollout.Spec.Strategy; {
	case !found:
		return errors.New("the story has no Rollout")
	case (one.Canary == nil) == (one.BlueGreen == nil):
		return errors.New("the Rollout of the story has not exactly one strategy")
	case len(s.Rollout.Spec.Template.Spec.Containers) == 0:
		return errors.New("the Rollout of the story has no container")
	}
	return nil
}

func kindOf(m Manifest) (string, error) {
	var head struct {
		Kind string `json:"kind"`
	}
	if err := yaml.Unmarshal(m.Text, &head); err != nil {
		return "", fmt.Errorf("decode %s: %w", m.File, err)
	}
	return head.Kind, nil
}

// decodeStrict takes no field that the type does not have, and no key twice.
func decodeStrict(m Manifest, into any) error {
	data, err := yaml.YAMLToJSONStrict(m.Text)
	if err != nil {
		return fmt.Errorf("read YAML: %w", err)
	}
	return v1alpha1.DecodeStrict(data, into)
}

func decodeRollout(m Manifest) (r v1alpha1.Rollout, err error) {
	if err := decodeStrict(m, &r); err != nil {
		return r, fmt.Errorf("decode %s: %w", m.File, err)
	}
	return r, nil
}

// rolloutIn returns the Rollout of a file of the story.
func (s *Story) rolloutIn(file string) (v1alpha1.Rollout, error) {
	for _, m := range s.Manifests {
		if kind, err := kindOf(m); err == nil && kind == "Rollout" && m.File == file {
			return decodeRollout(m)
		}
	}
	return v1alpha1.Rollout{}, fmt.Errorf("the story has no Rollout in a file %q", file)
}

var covered = regexp.MustCompile(`^(edge|defect|outage|analysis edge|analysis defect|traffic edge) [1-9][0-9]{0,2}$`)

func parseCovers(data []byte) (items []string, err error) {
	for i, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		if line = strings.TrimSpace(line); !covered.MatchString(line) || slices.Contains(items, line) {
			return nil, fmt.Errorf("line %d: %q: write each item once, one a line: edge 5, defect 12 or outage 39", i+1, line)
		}
		items = append(items, line)
	}
	return items, nil
}

// parseScript splits the lines into words and checks that each is complete.
func parseScript(data []byte) (script []Line, err error) {
	for i, text := range strings.Split(string(data), "\n") {
		words, kept, err := split(text)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		if len(words) == 0 {
			continue
		}
		l := Line{Number: i + 1, Words: words, Text: kept}
		if _, err := compile(l); err != nil {
			return nil, fmt.Errorf("line %d: %s: %w", l.Number, l.Text, err)
		}
		script = append(script, l)
	}
	return script, nil
}

// split cuts a line into words. A word in double quotes or backquotes keeps its spaces; a # that begins
// a word begins a comment.
func split(text string) (words []string, kept string, err error) {
	rest := strings.TrimSpace(text)
	whole := rest
	for rest != "" && rest[0] != '#' {
		var word string
		if q := rest[0]; q == '"' || q == '`' {
			end := strings.IndexByte(rest[1:], q)
			if end < 0 {
				return nil, "", errors.New(`a word in quotes does not end`)
			}
			word, rest = rest[1:1+end], rest[end+2:]
		} else if i := strings.IndexAny(rest, " \t"); i >= 0 {
			word, rest = rest[:i], rest[i:]
		} else {
			word, rest = rest, ""
		}
		words = append(words, word)
		rest = strings.TrimSpace(rest)
	}
	return slices.Clip(words), strings.TrimSpace(strings.TrimSuffix(whole, rest)), nil
}
