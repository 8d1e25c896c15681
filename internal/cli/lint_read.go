package cli

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/penstock-io/penstock/internal/lint"
)

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
			if err := add("stdin", func() ([]byte, error) { return s.contents(name) }); err != nil {
				return nil, err
			}
			continue
		}
		switch {
		case folderHas(name, konfig.RecognizedKustomizationFileNames()...):
			if err := add(name, func() ([]byte, error) { return kustomized(name) }); err != nil {
				return nil, err
			}
			continue
		case folderHas(name, "Chart.yaml"):
			return nil, fmt.Errorf("%s is a Helm chart: use `helm template %[1]s | %s lint -f -`", name, s.display)
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

// folderHas reports whether a folder has one of the files.
func folderHas(folder string, files ...string) bool {
	return slices.ContainsFunc(files, func(f string) bool {
		_, err := os.Stat(filepath.Join(folder, f))
		return err == nil
	})
}

// kustomized is what `kubectl kustomize` prints for a folder.
func kustomized(folder string) ([]byte, error) {
	all, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		return nil, err
	}
	return all.AsYaml()
}
