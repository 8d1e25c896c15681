package kube

import (
	"cmp"
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/internal/loop"
	"github.com/penstock-io/penstock/internal/metric"
)

// SecretReader reads Secrets from the API server; own is the controller's namespace.
// Nothing is cached: a cache would hold every Secret that the role may see.
func SecretReader(live client.Reader, own string) metric.SecretReader {
	return func(ctx context.Context, namespace, name string) (map[string][]byte, error) {
		secret := &corev1.Secret{}
		err := live.Get(ctx, loop.Key{Namespace: cmp.Or(namespace, own), Name: name}, secret)
		if apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("%w (%w)", err, metric.ErrNoSecret)
		}
		return secret.Data, err
	}
}
