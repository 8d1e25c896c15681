// Command reasons writes docs/reasons.md from the constants of the reason.go files that it is
// given: every reason that a person can meet, with its comment as the explanation.
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
)

func main() {
	if err := write(os.Args[1], os.Args[2:]...); err != nil {
		fmt.Fprintln(os.Stderr, "reasons:", err)
		os.Exit(1)
	}
}

func write(target string, sources ...string) error {
	var b strings.Builder
	b.WriteString("# Reasons\n\nEvery reason that Penstock gives in events, conditions and the plugin's output.\n")
	fmt.Fprintf(&b, "Generated from `%s`; do not edit.\n", strings.Join(sources, "`, `"))
	for _, source := range sources {
		f, err := parser.ParseFile(token.NewFileSet(), source, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "\n## %s\n", kinds[f.Name.Name])
		for _, d := range f.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.CONST {
				list(&b, g)
			}
		}
	}
	return os.WriteFile(target, []byte(b.String()), 0o644)
}

// kinds is whose reasons each package gives.
var kinds = map[string]string{"rollout": "Of a Rollout", "experiment": "Of an Experiment"}

// list writes the reasons of one block of constants.
func list(b *strings.Builder, g *ast.GenDecl) {
	fmt.Fprintf(b, "\n### %s\n\n", strings.TrimSuffix(strings.TrimSpace(g.Doc.Text()), "."))
	for _, s := range g.Specs {
		v := s.(*ast.ValueSpec)
		name := strings.Trim(v.Values[0].(*ast.BasicLit).Value, `"`)
		why := strings.TrimPrefix(strings.Join(strings.Fields(v.Doc.Text()+v.Comment.Text()), " "), v.Names[0].Name+": ")
		if why == "" {
			fmt.Fprintf(b, "- `%s`\n", name)
			continue
		}
		fmt.Fprintf(b, "- `%s`: %s\n", name, why)
	}
}
