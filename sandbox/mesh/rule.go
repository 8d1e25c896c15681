package mesh

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
)

// rule is the match of a route of Traefik.
type rule struct {
	holds func(*request) bool
	// hosts are those that it may hold for; anyHost is in place of them.
	hosts   []string
	anyHost bool
}

// matchers of a rule, with the number of their arguments.
var matchers = map[string]struct {
	args int
	make func(args []string) func(*request) bool
}{
	"Host": {1, func(a []string) func(*request) bool { return hostMatch(strings.ToLower(a[0])) }},
	"Path": {1, func(a []string) func(*request) bool {
		return func(r *request) bool { return r.URL.Path == a[0] }
	}},
	"PathPrefix": {1, func(a []string) func(*request) bool {
		return func(r *request) bool { return strings.HasPrefix(r.URL.Path, a[0]) }
	}},
	"Header": {2, func(a []string) func(*request) bool {
		return func(r *request) bool { return slices.Contains(r.Header.Values(a[0]), a[1]) }
	}},
}

// hostMatch takes one label for the star of *.example.
func hostMatch(want string) func(*request) bool {
	suffix, wild := strings.CutPrefix(want, "*.")
	return func(r *request) bool {
		if !wild {
			return r.host == want
		}
		_, rest, found := strings.Cut(r.host, ".")
		return found && rest == suffix
	}
}

// compileRule reads a rule. Its syntax is that of Go's expressions: calls of
// matchers with string literals, joined with &&, || and parentheses.
func compileRule(text string) (rule, error) {
	e, err := parser.ParseExpr(text)
	if err != nil {
		return rule{}, fmt.Errorf("match %q: %w", text, err)
	}
	r, err := ruleOf(e)
	if err != nil {
		return rule{}, fmt.Errorf("match %q: %w", text, err)
	}
	slices.Sort(r.hosts)
	r.hosts = slices.Compact(r.hosts)
	return r, nil
}

func ruleOf(e ast.Expr) (rule, error) {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return ruleOf(e.X)
	case *ast.CallExpr:
		return matcherOf(e)
	case *ast.BinaryExpr:
		x, err := ruleOf(e.X)
		if err != nil {
			return rule{}, err
		}
		y, err := ruleOf(e.Y)
		if err != nil {
			return rule{}, err
		}
		switch e.Op {
		case token.LAND:
			return x.and(y), nil
		case token.LOR:
			return x.or(y), nil
		}
	}
	return rule{}, errors.New("it is not made of matchers joined with && and ||")
}

func matcherOf(call *ast.CallExpr) (rule, error) {
	name, isName := call.Fun.(*ast.Ident)
	if !isName {
		return rule{}, errors.New("it calls something without a name")
	}
	matcher, known := matchers[name.Name]
	switch {
	case !known:
		return rule{}, fmt.Errorf("matcher %s is not supported", name.Name)
	case len(call.Args) != matcher.args:
		return rule{}, fmt.Errorf("matcher %s takes %d arguments, not %d", name.Name, matcher.args, len(call.Args))
	}
	var args []string
	for _, a := range call.Args {
		literal, is := a.(*ast.BasicLit)
		if !is || literal.Kind != token.STRING {
			return rule{}, fmt.Errorf("matcher %s takes strings", name.Name)
		}
		text, err := strconv.Unquote(literal.Value)
		if err != nil {
			return rule{}, fmt.Errorf("matcher %s: %w", name.Name, err)
		}
		args = append(args, text)
	}
	r := rule{holds: matcher.make(args), anyHost: name.Name != "Host"}
	if !r.anyHost {
		r.hosts = []string{strings.ToLower(args[0])}
	}
	return r, nil
}

// and may keep a host that the rule never holds for: that is only asked in vain.
func (x rule) and(y rule) rule {
	both := rule{holds: func(r *request) bool { return x.holds(r) && y.holds(r) }, hosts: x.hosts}
	if both.anyHost = x.anyHost && y.anyHost; x.anyHost {
		both.hosts = y.hosts
	}
	return both
}

func (x rule) or(y rule) rule {
	return rule{
		holds: func(r *request) bool { return x.holds(r) || y.holds(r) },
		hosts: slices.Concat(x.hosts, y.hosts), anyHost: x.anyHost || y.anyHost,
	}
}
