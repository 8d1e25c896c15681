package cli

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/agnivade/levenshtein"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// hintWithin is how long an error may take to become a better one.
const hintWithin = 3 * time.Second

const unnamed = "no kubeconfig names a cluster: set KUBECONFIG, or --kubeconfig and --context"

// plainly is an error in words that say what to do next. What it does not know stays.
func (s *session) plainly(err error) string {
	var unreached *url.Error
	switch {
	case clientcmd.IsEmptyConfig(err):
		return unnamed
	case errors.As(err, &unreached):
		return s.unreached(unreached)
	case unserved(err) && groupOf(err) == v1alpha1.GroupVersion.Group:
		return "the cluster does not know the kinds of " + groupOf(err) + ": their CustomResourceDefinitions are not installed"
	case apierrors.IsUnauthorized(err):
		return "the cluster does not accept your credentials, which may have expired: log in again, or choose another --context"
	case apierrors.IsForbidden(err):
		return strings.TrimSuffix(err.Error(), ".") + "; ask those who run the cluster for this right, or choose another --context"
	}
	return err.Error()
}

// unreached is about an API server that gave no answer.
func (s *session) unreached(err *url.Error) string {
	host := err.URL
	if u, bad := url.Parse(err.URL); bad == nil {
		host = u.Scheme + "://" + u.Host
	}
	certificate, name := x509.UnknownAuthorityError{}, x509.HostnameError{}
	switch why := err.Err; {
	case errors.As(why, &certificate), errors.As(why, &name):
		return fmt.Sprintf("do not trust the cluster at %s: %v; check the certificate-authority in the kubeconfig", host, why)
	case host == "http://localhost:8080" && !s.named():
		return unnamed
	case err.Timeout():
		return fmt.Sprintf("the cluster at %s did not answer in time: is it up, and can it be reached from here?", host)
	case errors.As(why, new(*net.OpError)):
		return fmt.Sprintf("cannot reach the cluster at %s: %v; is it up, and is it the right --context?", host, root(why))
	default:
		return fmt.Sprintf("ask the cluster at %s: %v", host, why)
	}
}

// named: the command line or a kubeconfig names a cluster.
func (s *session) named() bool {
	raw, err := s.flags.ToRawKubeConfigLoader().RawConfig()
	return err == nil && len(raw.Clusters) > 0 || s.flags.APIServer != nil && *s.flags.APIServer != ""
}

// root is the innermost error: "connection refused".
func root(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// unserved: the API server has no such kind, which is not the same as no such object.
func unserved(err error) bool {
	return apierrors.IsNotFound(err) && apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}

// groupOf is the API group that an error of the API server is about.
func groupOf(err error) string {
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Details != nil {
		return status.Status().Details.Group
	}
	return ""
}

// hint says which name may have been meant where there is no such object.
func (s *session) hint(ctx context.Context, err error) string {
	var status apierrors.APIStatus
	if !apierrors.IsNotFound(err) || unserved(err) || s.cluster == nil || !errors.As(err, &status) || status.Status().Details == nil {
		return ""
	}
	details := status.Status().Details
	n, known := nounOf(details.Kind)
	if !known || details.Name == "" {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), hintWithin)
	defer cancel()
	u, _, err := s.cluster.labelled(n, everything).read(ctx, s.cluster)
	if err != nil {
		return ""
	}
	near, least := "", max(2, len(details.Name)/3)
	for _, o := range sorted(u.objects) {
		if d := levenshtein.ComputeDistance(details.Name, o.GetName()); d <= least || near == "" && strings.HasPrefix(o.GetName(), details.Name) {
			near, least = o.GetName(), min(least, d-1)
		}
	}
	if near != "" {
		return fmt.Sprintf("Did you mean %q?", near)
	}
	if elsewhere, _, err := s.cluster.in(metav1.NamespaceAll).named(n, details.Name).read(ctx, s.cluster); err == nil && len(elsewhere.objects) > 0 {
		return useNamespace(sorted(elsewhere.objects))
	}
	if len(u.objects) == 0 {
		return fmt.Sprintf("There are no %s in namespace %q.", n.plural(), s.cluster.namespace)
	}
	return ""
}

// maxElsewhere is how many namespaces a hint names.
const maxElsewhere = 5

// useNamespace says in which namespaces an object of the asked name is.
func useNamespace(there []client.Object) string {
	first := there[0].GetNamespace()
	if len(there) == 1 {
		return fmt.Sprintf("There is one in namespace %q: use -n %[1]s.", first)
	}
	names := make([]string, 0, maxElsewhere)
	for _, o := range there[:min(len(there), maxElsewhere)] {
		names = append(names, strconv.Quote(o.GetNamespace()))
	}
	more := ""
	if len(there) > maxElsewhere {
		more = fmt.Sprintf(" and %d more", len(there)-maxElsewhere)
	}
	return fmt.Sprintf("There are %d in other namespaces, %s%s: use -n %s.", len(there), strings.Join(names, ", "), more, first)
}
