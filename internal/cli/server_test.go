package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// apiServer answers as a Kubernetes API server does, in memory and without a network, so
// that it also works under virtual time.
type apiServer struct {
	t *testing.T
	// statusless: the CRD has no status subresource.
	statusless bool
	// deny answers a request by its "METHOD path" with this HTTP status.
	deny map[string]int
	// late is how many more updates come too late: somebody else was faster.
	late int
	// groups are the API groups that it tells of.
	groups []string

	mu      sync.Mutex
	objects map[string]*unstructured.Unstructured // by path
	log     []event
	changed chan struct{} // closed and replaced at every event
	cut     chan struct{} // closed and replaced to end all watches
	seen    []string      // "METHOD path type body" of everything but reads
	reads   []string      // "path?query" of every read
}

type event struct {
	Type   string                     `json:"type"`
	Object *unstructured.Unstructured `json:"object"`
}

func newServer(t *testing.T, objects ...client.Object) *apiServer {
	t.Helper()
	s := &apiServer{t: t, objects: map[string]*unstructured.Unstructured{}, deny: map[string]int{}, changed: make(chan struct{}), cut: make(chan struct{})}
	for _, o := range objects {
		s.put(o)
	}
	return s
}

// put creates or replaces an object.
func (s *apiServer) put(o client.Object) {
	s.t.Helper()
	scheme, _, err := kinds()
	if err != nil {
		s.t.Fatal(err)
	}
	gvk, err := apiutil.GVKForObject(o, scheme)
	if err != nil {
		s.t.Fatal(err)
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		s.t.Fatal(err)
	}
	u := &unstructured.Unstructured{Object: content}
	u.SetGroupVersionKind(gvk)
	cluster := strings.HasPrefix(gvk.Kind, "Cluster")
	if u.GetNamespace() == "" && !cluster {
		u.SetNamespace("shop")
	}
	if u.GetUID() == "" {
		u.SetUID(types.UID("uid-" + u.GetName()))
	}
	prefix := "/api/v1"
	if gvk.Group != "" {
		prefix = "/apis/" + gvk.Group + "/" + gvk.Version
	}
	if cluster {
		s.store(path.Join(prefix, strings.ToLower(gvk.Kind)+"s", u.GetName()), u)
		return
	}
	s.store(path.Join(prefix, "namespaces", u.GetNamespace(), strings.ToLower(gvk.Kind)+"s", u.GetName()), u)
}

func (s *apiServer) store(at string, u *unstructured.Unstructured) {
	s.mu.Lock()
	defer s.mu.Unlock()
	what := "ADDED"
	if s.objects[at] != nil {
		what = "MODIFIED"
	}
	s.objects[at] = u
	s.tell(what, u)
}

func (s *apiServer) tell(what string, u *unstructured.Unstructured) {
	u.SetResourceVersion(strconv.Itoa(len(s.log) + 1))
	s.log = append(s.log, event{what, u.DeepCopy()})
	close(s.changed)
	s.changed = make(chan struct{})
}

// remove deletes an object by the end of its path.
func (s *apiServer) remove(end string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for at, u := range s.objects {
		if strings.HasSuffix(at, end) {
			delete(s.objects, at)
			s.tell("DELETED", u)
			return
		}
	}
	s.t.Errorf("there is no %s to remove", end)
}

// cutWatches ends every watch, as API servers do now and then.
func (s *apiServer) cutWatches() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.cut)
	s.cut = make(chan struct{})
}

// fail answers a "METHOD path" with an HTTP status from now on; 0 ends that.
func (s *apiServer) fail(request string, code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deny[request] = code
}

func (s *apiServer) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	code := s.deny[r.Method+" "+r.URL.Path]
	s.mu.Unlock()
	if code != 0 {
		return failure(r, code, metav1.StatusReason(strings.ReplaceAll(http.StatusText(code), " ", ""))), nil
	}
	switch {
	case r.Method == http.MethodPatch:
		return s.patch(r)
	case r.Method == http.MethodPost:
		return s.create(r)
	case r.Method == http.MethodPut:
		return s.replace(r)
	case r.Method == http.MethodDelete: // what has a finalizer stays for now
		s.mu.Lock()
		defer s.mu.Unlock()
		s.seen = append(s.seen, r.Method+" "+r.URL.RequestURI())
		if u := s.objects[r.URL.Path]; u != nil {
			return answer(r, u), nil
		}
		return failure(r, http.StatusNotFound, metav1.StatusReasonNotFound), nil
	case r.Method != http.MethodGet:
		s.t.Errorf("unexpected %s %s", r.Method, r.URL.Path)
		return failure(r, http.StatusMethodNotAllowed, metav1.StatusReasonMethodNotAllowed), nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads = append(s.reads, r.URL.RequestURI())
	if r.URL.Query().Get("watch") != "" {
		return s.watch(r), nil
	}
	if u := s.objects[r.URL.Path]; u != nil {
		return answer(r, u), nil
	}
	if r.URL.Path == "/apis" && s.groups != nil {
		list := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "APIGroupList"}}
		var all []any
		for _, g := range s.groups {
			all = append(all, map[string]any{"name": g, "versions": []any{}})
		}
		list.Object["groups"] = all
		return answer(r, list), nil
	}
	if kind, ok := listKinds[path.Base(r.URL.Path)]; ok {
		list := &unstructured.UnstructuredList{}
		list.SetAPIVersion(kind[0])
		list.SetKind(kind[1])
		list.SetResourceVersion(strconv.Itoa(len(s.log)))
		for _, u := range s.objects {
			if selects(r, u) {
				list.Items = append(list.Items, *u)
			}
		}
		return answer(r, list), nil
	}
	return failure(r, http.StatusNotFound, metav1.StatusReasonNotFound), nil
}

var listKinds = map[string][2]string{
	"rollouts":                 {"argoproj.io/v1alpha1", "RolloutList"},
	"analysisruns":             {"argoproj.io/v1alpha1", "AnalysisRunList"},
	"experiments":              {"argoproj.io/v1alpha1", "ExperimentList"},
	"replicasets":              {"apps/v1", "ReplicaSetList"},
	"deployments":              {"apps/v1", "DeploymentList"},
	"horizontalpodautoscalers": {"autoscaling/v2", "HorizontalPodAutoscalerList"},
	"pods":                     {"v1", "PodList"},
	"events":                   {"v1", "EventList"},
	"services":                 {"v1", "ServiceList"},
}

// selects reports whether a list or watch request covers the object.
func selects(r *http.Request, u *unstructured.Unstructured) bool {
	segments := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	resource, namespace := segments[len(segments)-1], segments[len(segments)-2]
	within := len(segments) > 2 && segments[len(segments)-3] == "namespaces"
	if strings.ToLower(u.GetKind())+"s" != resource || within && u.GetNamespace() != namespace {
		return false
	}
	byLabel, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil || !byLabel.Matches(labels.Set(u.GetLabels())) {
		return false
	}
	byField, err := fields.ParseSelector(r.URL.Query().Get("fieldSelector"))
	uid, _, _ := unstructured.NestedString(u.Object, "involvedObject", "uid")
	return err == nil && byField.Matches(fields.Set{"metadata.name": u.GetName(), "involvedObject.uid": uid})
}

func (s *apiServer) watch(r *http.Request) *http.Response {
	next, err := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	if err != nil {
		s.t.Errorf("a watch starts at no list's version: %v", err)
	}
	reader, writer := io.Pipe()
	cut := s.cut
	go func() {
		defer writer.Close()
		for encoder := json.NewEncoder(writer); ; {
			s.mu.Lock()
			fresh, changed := s.log[min(next, len(s.log)):], s.changed
			s.mu.Unlock()
			for _, e := range fresh {
				if next++; selects(r, e.Object) && encoder.Encode(e) != nil {
					return
				}
			}
			select {
			case <-changed:
			case <-cut:
				return
			case <-r.Context().Done():
				return
			}
		}
	}()
	return reply(r, http.StatusOK, reader)
}

func (s *apiServer) patch(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.seen = append(s.seen, fmt.Sprintf("%s %s %s %s", r.Method, r.URL.RequestURI(), r.Header.Get("Content-Type"), body))
	at, toStatus := strings.CutSuffix(r.URL.Path, "/status")
	u := s.objects[at]
	s.mu.Unlock()
	if u == nil || toStatus && s.statusless {
		return failure(r, http.StatusNotFound, metav1.StatusReasonNotFound), nil
	}
	before, err := u.MarshalJSON()
	if err != nil {
		return nil, err
	}
	after, err := jsonpatch.MergePatch(before, body)
	if r.Header.Get("Content-Type") == string(types.JSONPatchType) {
		var p jsonpatch.Patch
		if p, err = jsonpatch.DecodePatch(body); err == nil {
			after, err = p.Apply(before)
		}
	}
	if err != nil {
		return nil, err
	}
	patched := &unstructured.Unstructured{}
	if err := patched.UnmarshalJSON(after); err != nil {
		return nil, err
	}
	s.store(at, patched)
	return answer(r, patched), nil
}

// create stores a new object.
func (s *apiServer) create(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(body); err != nil {
		return nil, err
	}
	if u.GetName() == "" {
		u.SetName(u.GetGenerateName() + "x7k2p")
	}
	u.SetUID(types.UID("uid-" + u.GetName()))
	at := path.Join(r.URL.Path, u.GetName())
	s.mu.Lock()
	s.seen = append(s.seen, fmt.Sprintf("%s %s %s", r.Method, r.URL.RequestURI(), body))
	there := s.objects[at] != nil
	s.mu.Unlock()
	if there {
		return failure(r, http.StatusConflict, metav1.StatusReasonAlreadyExists), nil
	}
	s.store(at, u)
	return answer(r, u), nil
}

// replace stores an object that is as the caller has read it.
func (s *apiServer) replace(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	next := &unstructured.Unstructured{}
	if err := next.UnmarshalJSON(body); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.seen = append(s.seen, r.Method+" "+r.URL.RequestURI())
	u := s.objects[r.URL.Path]
	late := s.late > 0
	s.late--
	s.mu.Unlock()
	switch {
	case u == nil:
		return failure(r, http.StatusNotFound, metav1.StatusReasonNotFound), nil
	case late || u.GetResourceVersion() != next.GetResourceVersion():
		return failure(r, http.StatusConflict, metav1.StatusReasonConflict), nil
	}
	s.store(r.URL.Path, next)
	return answer(r, next), nil
}

func answer(r *http.Request, o json.Marshaler) *http.Response {
	body, err := o.MarshalJSON()
	if err != nil {
		return failure(r, http.StatusInternalServerError, metav1.StatusReasonInternalError)
	}
	return reply(r, http.StatusOK, io.NopCloser(bytes.NewReader(body)))
}

func failure(r *http.Request, code int, reason metav1.StatusReason) *http.Response {
	segments := strings.Split(strings.TrimSuffix(r.URL.Path, "/status"), "/")
	message := fmt.Sprintf("%s.argoproj.io %q not found", segments[len(segments)-2], segments[len(segments)-1])
	if code != http.StatusNotFound {
		message = "the server says " + http.StatusText(code)
	}
	body := fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","message":%q,"reason":%q,"code":%d,"details":{"group":"argoproj.io","kind":%q,"name":%q}}`,
		message, reason, code, segments[len(segments)-2], segments[len(segments)-1])
	return reply(r, code, io.NopCloser(strings.NewReader(body)))
}

func reply(r *http.Request, code int, body io.ReadCloser) *http.Response {
	return &http.Response{StatusCode: code, Status: http.StatusText(code), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: body, ContentLength: -1, Request: r}
}

// outcomes are what a caller of the plugin sees.
type outcomes struct {
	code     int
	out, err string
}

// call runs the plugin under its published name against the server.
func (s *apiServer) call(ctx context.Context, args ...string) outcomes {
	return s.callWith(ctx, Options{}, args...)
}

func (s *apiServer) callWith(ctx context.Context, o Options, args ...string) outcomes {
	return s.under(ctx, o, "kubectl-argo-rollouts", slices.Insert(slices.Clone(args), min(1, len(args)), "--server=http://server.invalid", "-n=shop")...)
}

// under runs the plugin under a file name.
func (s *apiServer) under(ctx context.Context, o Options, file string, args ...string) outcomes {
	var out, errs bytes.Buffer
	o.Args = append([]string{"/usr/local/bin/" + file}, args...)
	o.Out, o.Err = &out, &errs
	o.WrapConfig = func(c *rest.Config) *rest.Config {
		c.Transport, c.ContentType = s, runtime.ContentTypeJSON
		return c
	}
	code := Run(ctx, o)
	return outcomes{code, out.String(), errs.String()}
}
