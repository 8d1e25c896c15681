package rollout

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"
)

// Every reason of waiting says whose turn it is, and what ends the wait.
func TestEveryReasonOfWaitingHasATurn(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "reason.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	listed := map[Reason]bool{}
	for _, d := range file.Decls {
		g, is := d.(*ast.GenDecl)
		if !is || !strings.HasPrefix(g.Doc.Text(), "Reasons of waiting") {
			continue
		}
		for _, s := range g.Specs {
			text, err := strconv.Unquote(s.(*ast.ValueSpec).Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			listed[Reason(text)] = true
			if turn, ends := Reason(text).Turn(); turn == "" || ends == "" {
				t.Errorf("%s: %q, %q", text, turn, ends)
			}
		}
	}
	if len(listed) < 20 || len(listed) != len(turns) {
		t.Errorf("%d reasons are listed, %d have a turn", len(listed), len(turns))
	}
}
