package main

import (
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// item is one thing that a test can guard.
type item struct {
	kind   string // edge, defect, outage, analysis edge, analysis defect, traffic edge or traffic defect
	number int
}

func (i item) String() string { return fmt.Sprintf("%s %d", i.kind, i.number) }

// guard is what guards an item: a test with the sentence of the table entry, or a story.
type guard struct {
	file, name, sentence string
	story                bool
}

// tag is one line that names items.
type tag struct {
	items []item
	guard
	line int
}

// where is its place, for error messages.
func (t tag) where() string {
	if t.story {
		return "story " + t.name
	}
	return fmt.Sprintf("%s:%d", t.file, t.line)
}

var itemText = regexp.MustCompile(`^(analysis edge|analysis defect|traffic edge|traffic defect|edge|defect|outage) ([1-9][0-9]{0,2})$`)

func parseItem(text string) (item, error) {
	m := itemText.FindStringSubmatch(text)
	if m == nil {
		return item{}, fmt.Errorf("%q is not an item like: edge 5, defect 12, outage 39", text)
	}
	n, err := strconv.Atoi(m[2])
	return item{m[1], n}, err
}

// parseCovers reads "// Covers: edge 5, outage 39."; ok is false for any other comment.
func parseCovers(comment string) (items []item, ok bool, err error) {
	text, ok := strings.CutPrefix(comment, "//")
	text = strings.TrimSpace(text)
	list, found := strings.CutPrefix(text, "Covers:")
	switch {
	case !ok:
		return nil, false, nil
	case !found && (strings.HasPrefix(text, "Covers ") || strings.HasPrefix(text, "covers:")):
		return nil, true, errors.New("write: // Covers: edge 5, defect 12, outage 39.")
	case !found:
		return nil, false, nil
	}
	for _, word := range strings.Split(strings.TrimSuffix(list, "."), ",") {
		i, err := parseItem(strings.TrimSpace(word))
		if err != nil {
			return nil, true, err
		}
		items = append(items, i)
	}
	return items, true, nil
}

// scanTests finds the tags in all test files below root, package by package.
func scanTests(root string) (tags []tag, err error) {
	packages := map[string][]string{}
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		switch name := d.Name(); {
		case err != nil:
			return err
		case d.IsDir() && p != root && (name == "testdata" || name == "bin" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")):
			return filepath.SkipDir
		case !d.IsDir() && strings.HasSuffix(name, "_test.go"):
			packages[filepath.Dir(p)] = append(packages[filepath.Dir(p)], p)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for tests: %w", err)
	}
	for _, files := range packages {
		found, err := scanPackage(root, files)
		if err != nil {
			return nil, err
		}
		tags = append(tags, found...)
	}
	slices.SortStableFunc(tags, func(a, b tag) int { return cmp.Or(cmp.Compare(a.file, b.file), a.line-b.line) })
	return tags, nil
}

func scanPackage(root string, paths []string) (tags []tag, err error) {
	set := token.NewFileSet()
	var files []*ast.File
	for _, p := range paths {
		f, err := parser.ParseFile(set, p, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("read test: %w", err)
		}
		files = append(files, f)
	}
	users := usersOf(files)
	for i, f := range files {
		name, err := filepath.Rel(root, paths[i])
		if err != nil {
			return nil, fmt.Errorf("name test: %w", err)
		}
		found, err := scanFile(set, f, filepath.ToSlash(name), users)
		if err != nil {
			return nil, err
		}
		tags = append(tags, found...)
	}
	return tags, nil
}

func scanFile(set *token.FileSet, f *ast.File, name string, users map[string][]ast.Decl) (tags []tag, err error) {
	for _, group := range f.Comments {
		for _, c := range group.List {
			items, ok, err := parseCovers(c.Text)
			if !ok {
				continue
			}
			t := tag{items: items, line: set.Position(c.Pos()).Line, guard: guard{file: name}}
			if err == nil {
				t.name, t.sentence, err = placeOf(set, f, group, c, users)
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", t.where(), err)
			}
			tags = append(tags, t)
		}
	}
	return tags, nil
}

// placeOf is the test and the sentence that a comment belongs to.
func placeOf(set *token.FileSet, f *ast.File, group *ast.CommentGroup, c *ast.Comment, users map[string][]ast.Decl) (test, sentence string, err error) {
	decl := declOf(f, set, group, c)
	if decl == nil {
		return "", "", errors.New("nothing follows that could be a test")
	}
	tests := testsOf(decl, users)
	if len(tests) == 0 {
		return "", "", errors.New("no test runs what is tagged here")
	}
	return tests[0], sentenceOf(decl, set, group), nil
}

// declOf is the declaration that a comment stands in or directly above.
func declOf(f *ast.File, set *token.FileSet, group *ast.CommentGroup, c *ast.Comment) ast.Decl {
	for _, d := range f.Decls {
		if d.Pos() <= c.Pos() && c.Pos() < d.End() {
			return d
		}
		if above(set, group, d) || docOf(d) == group {
			return d
		}
	}
	return nil
}

func docOf(d ast.Decl) *ast.CommentGroup {
	switch d := d.(type) {
	case *ast.FuncDecl:
		return d.Doc
	case *ast.GenDecl:
		return d.Doc
	}
	return nil
}

// above reports that a comment ends on the line before a node.
func above(set *token.FileSet, group *ast.CommentGroup, n ast.Node) bool {
	return set.Position(group.End()).Line+1 == set.Position(n.Pos()).Line
}

// sentenceOf is the English sentence of the table entry or subtest that a comment stands
// directly above, behind on the same line, or in; "" for the whole test.
func sentenceOf(d ast.Decl, set *token.FileSet, group *ast.CommentGroup) string {
	around, beside := "", ""
	ast.Inspect(d, func(n ast.Node) bool {
		text := sentence(n)
		switch {
		case text == "":
		case n.Pos() <= group.Pos() && group.End() <= n.End():
			around = text // the innermost counts
		case beside == "" && (above(set, group, n) || behind(set, group, n)):
			beside = text // the outermost counts: entries hold maps too
		}
		return n != nil
	})
	return cmp.Or(beside, around)
}

// behind reports that a comment stands on the line on which a node ends.
func behind(set *token.FileSet, group *ast.CommentGroup, n ast.Node) bool {
	return n.End() <= group.Pos() && set.Position(n.End()).Line == set.Position(group.Pos()).Line
}

// sentence is the name of a node that is a table entry or a subtest.
func sentence(n ast.Node) string {
	switch n := n.(type) {
	case *ast.KeyValueExpr:
		return literal(n.Key)
	case *ast.CompositeLit:
		if len(n.Elts) > 0 {
			return entryName(n.Elts[0])
		}
	case *ast.CallExpr:
		if s, ok := n.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "Run" && len(n.Args) > 0 {
			return literal(n.Args[0])
		}
	}
	return ""
}

// entryName is the name of an entry in a slice of cases: its first field.
func entryName(first ast.Expr) string {
	if kv, ok := first.(*ast.KeyValueExpr); ok {
		if key, ok := kv.Key.(*ast.Ident); ok && key.Name == "name" {
			return literal(kv.Value)
		}
		return ""
	}
	return literal(first)
}

func literal(e ast.Expr) string {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return ""
	}
	text, err := strconv.Unquote(l.Value)
	if err != nil {
		return ""
	}
	return text
}

// namesOf are the names that a declaration declares.
func namesOf(d ast.Decl) (names []string) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		return []string{d.Name.Name}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			if v, ok := s.(*ast.ValueSpec); ok {
				for _, n := range v.Names {
					names = append(names, n.Name)
				}
			}
		}
	}
	return names
}

// usersOf maps each name to the declarations of the package that mention it.
func usersOf(files []*ast.File) map[string][]ast.Decl {
	users := map[string][]ast.Decl{}
	for _, f := range files {
		for _, d := range f.Decls {
			ast.Inspect(d, func(n ast.Node) bool {
				if id, ok := n.(*ast.Ident); ok && !slices.Contains(users[id.Name], d) {
					users[id.Name] = append(users[id.Name], d)
				}
				return true
			})
		}
	}
	return users
}

var testName = regexp.MustCompile(`^(Test|Fuzz|Benchmark)([^a-z]|$)`)

// testsOf are the tests that run a declaration: itself, or those that reach it.
func testsOf(d ast.Decl, users map[string][]ast.Decl) (tests []string) {
	seen := map[ast.Decl]bool{}
	for todo := []ast.Decl{d}; len(todo) > 0; todo = todo[1:] {
		if seen[todo[0]] {
			continue
		}
		seen[todo[0]] = true
		for _, name := range namesOf(todo[0]) {
			if f, ok := todo[0].(*ast.FuncDecl); ok && f.Recv == nil && testName.MatchString(name) {
				tests = append(tests, name)
				continue
			}
			todo = append(todo, users[name]...)
		}
	}
	return tests
}

// link is a path of the repository as seen from docs.
func link(file string) string { return path.Join("..", file) }
