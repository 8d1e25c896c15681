package loop

import (
	"context"
	"errors"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var errUnrecorded = errors.New("this verb names no version, so the write could not be waited for")

// recording is a client whose writes go into the Record.
type recording struct {
	client.Client
	record *Record
}

func (c recording) Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error {
	err := c.Client.Create(ctx, obj, opts...)
	c.record.note(ctx, obj, false, err)
	return err
}

func (c recording) Update(ctx context.Context, obj client.Object, opts ...client.UpdateOption) error {
	err := c.Client.Update(ctx, obj, opts...)
	c.record.note(ctx, obj, false, err)
	return err
}

func (c recording) Patch(ctx context.Context, obj client.Object, p client.Patch, opts ...client.PatchOption) error {
	err := c.Client.Patch(ctx, obj, p, opts...)
	c.record.note(ctx, obj, false, err)
	return err
}

func (c recording) Delete(ctx context.Context, obj client.Object, opts ...client.DeleteOption) error {
	err := c.Client.Delete(ctx, obj, opts...)
	c.record.note(ctx, obj, true, err)
	return err
}

func (recording) DeleteAllOf(context.Context, client.Object, ...client.DeleteAllOfOption) error {
	return errUnrecorded
}

func (recording) Apply(context.Context, runtime.ApplyConfiguration, ...client.ApplyOption) error {
	return errUnrecorded
}

func (c recording) Status() client.SubResourceWriter {
	return recordingStatus{c.Client.Status(), c.record}
}

type recordingStatus struct {
	client.SubResourceWriter
	record *Record
}

func (c recordingStatus) Update(ctx context.Context, obj client.Object, opts ...client.SubResourceUpdateOption) error {
	err := c.SubResourceWriter.Update(ctx, obj, opts...)
	c.record.note(ctx, obj, false, err)
	return err
}

func (c recordingStatus) Patch(ctx context.Context, obj client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
	err := c.SubResourceWriter.Patch(ctx, obj, p, opts...)
	c.record.note(ctx, obj, false, err)
	return err
}
