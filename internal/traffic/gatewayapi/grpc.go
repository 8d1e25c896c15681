package gatewayapi

import (
	"fmt"
	"net/http"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// grpcCondition translates method and path for rules of a GRPCRoute. Every gRPC request is
// a POST to /service/method, so a path prefix of /service means all of its methods.
func grpcCondition(m v1alpha1.RouteMatch) (c map[string]any, ok bool, problem string) {
	c = map[string]any{}
	name, problem := method(m)
	if problem != "" || name != "" && name != http.MethodPost {
		return c, false, problem
	}
	t := m.Path
	if t == nil || *t == (v1alpha1.StringMatch{}) {
		return c, true, ""
	}
	if t.Exact == "" && t.Prefix == "" {
		return nil, false, `a GRPCRoute compares service and method, and not the path by a regular expression: use path.exact "/service/method" or path.prefix "/service"`
	}
	whole, path := t.Exact != "", t.Exact
	if !whole {
		path = strings.TrimSuffix(t.Prefix, "/")
	}
	if path == "" {
		return c, true, "" // the prefix "/"
	}
	service, method, full := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if path[0] != '/' || service == "" || full != (method != "") || whole && !full || strings.Contains(method, "/") {
		return c, false, "" // no request has such a path
	}
	asked := map[string]any{"type": exact, "service": service}
	if full {
		asked["method"] = method
	}
	c["method"] = asked
	return c, true, ""
}

// joinGRPC narrows a match of a GRPCRoute.
func joinGRPC(m, condition map[string]any) (ok bool, problem string) {
	asked, is := condition["method"].(map[string]any)
	if !is {
		return true, ""
	}
	old, _ := m["method"].(map[string]any)
	joined := runtime.DeepCopyJSON(old)
	if joined == nil {
		joined = map[string]any{}
	}
	if text(old["service"]) == "" && text(old["method"]) == "" {
		delete(joined, "type")
	}
	if kindOf(joined, exact) != exact {
		return false, fmt.Sprintf("path %q cannot be joined with service and method of the rule: they are regular expressions",
			strings.TrimSuffix("/"+text(asked["service"])+"/"+text(asked["method"]), "/"))
	}
	joined["type"] = exact
	for _, key := range []string{"service", "method"} {
		was, want := text(old[key]), text(asked[key])
		switch {
		case want == "":
		case was == "":
			joined[key] = want
		case was != want:
			return false, ""
		}
	}
	m["method"] = joined
	return true, ""
}
