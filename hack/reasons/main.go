// Command reasons writes docs/reasons.md from the constants of internal/rollout/reason.go:
// every reason that a person can meet, with its comment as the explanation.
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
	if err := write(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "reasons:", err)
		os.Exit(1)
	}
}

func write(source, target string) error {
	f, err := parser.ParseFile(token.NewFileSet(), source, nil, parser.ParseComments)
	if err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString("# Reasons\n\nEvery reason that Penstock gives in events, conditions and the plugin's output.\nGenerated from `internal/rollout/reason.go`; do not edit.\n")
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		fmt.Fprintf(&b, "\n## %s\n\n", strings.TrimSuffix(strings.TrimSpace(g.Doc.Text()), "."))
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			name := strings.Trim(v.Values[0].(*ast.BasicLit).Value, `"`)
			why := strings.TrimPrefix(strings.Join(strings.Fields(v.Doc.Text()+v.Comment.Text()), " "), v.Names[0].Name+": ")
			if why == "" {
				fmt.Fprintf(&b, "- `%s`\n", name)
				continue
			}
			fmt.Fprintf(&b, "- `%s`: %s\n", name, why)
		}
	}
	return os.WriteFile(target, []byte(b.String()), 0o644)
}
