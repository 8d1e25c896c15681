package routertest

import (
	"context"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-io/penstock/internal/traffic"
)

// maker is a toy that makes its object and takes it away again.
type maker struct{ toy }

func (r maker) Observe(ctx context.Context, t traffic.Target) (traffic.Observation, error) {
	o, err := r.toy.Observe(ctx, t)
	if apierrors.IsNotFound(err) && ctx.Err() == nil {
		return traffic.Observation{Confirmed: true, Versions: map[string]string{}}, nil
	}
	return o, err
}

func (r maker) Apply(ctx context.Context, t traffic.Target, s traffic.Split) (traffic.Written, error) {
	u, err := r.get(ctx, t)
	switch {
	case err == nil && s.IsZero() && r.flaw != "leaves what it made":
		return nil, r.writer.Delete(ctx, u)
	case err == nil && r.flaw == "makes anew what it should change":
		if err := r.writer.Delete(ctx, u); err != nil {
			return nil, err
		}
	case err == nil || ctx.Err() != nil || !apierrors.IsNotFound(err):
		return r.toy.Apply(ctx, t, s)
	case s.IsZero():
		return nil, nil
	}
	if _, err := (toy{reader: pretend{}, writer: pretend{}}).Apply(ctx, t, s); err != nil { // what a toy refuses
		return nil, err
	}
	made := newToy()
	r.render(made, s)
	if err := r.writer.Create(ctx, made); err != nil {
		return nil, err
	}
	return traffic.Written{"Toy/shop/web": made.GetResourceVersion()}, nil
}

// pretend is a cluster that has the object and takes every write.
type pretend struct{ client.Client }

func (pretend) Get(_ context.Context, _ client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	newToy().DeepCopyInto(o.(*unstructured.Unstructured))
	return nil
}

func (pretend) Update(context.Context, client.Object, ...client.UpdateOption) error { return nil }

func makerFixture(flaw string) Fixture {
	f := toyFixture(flaw)
	f.New = func(r client.Reader, w client.Client) traffic.Router {
		return maker{toy{reader: r, writer: w, flaw: flaw}}
	}
	f.Objects, f.Makes, f.Shape = nil, f.Objects, nil
	return f
}

func TestTheRightMakerPasses(t *testing.T) { Run(t, makerFixture("")) }

func TestMakersThatAreWrongFail(t *testing.T) {
	for flaw, name := range map[string]string{
		"leaves what it made":              "the zero split removes what is ours",
		"makes anew what it should change": "a foreign write in between is a conflict",
		"overwrites what is newer":         "a foreign write in between is a conflict",
		"trusts the canary weight alone":   "drift is seen, and mended by one Apply",
		"does not clamp":                   "weights outside the range are held to it",
		"edits the cache":                  "what was read is not changed in the reader",
	} {
		for _, l := range Laws() {
			if l.Name == name && l.Check(t.Context(), makerFixture(flaw)) == nil {
				t.Errorf("the law %q let a maker pass that %s", name, flaw)
			}
		}
	}
}
