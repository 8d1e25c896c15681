package plugin

import (
	"encoding/gob"
	"sync"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// RunArgs is the argument of Run.
type RunArgs struct {
	AnalysisRun *v1alpha1.AnalysisRun
	Metric      v1alpha1.Metric
}

// TerminateAndResumeArgs is the argument of Resume and Terminate.
type TerminateAndResumeArgs struct {
	AnalysisRun *v1alpha1.AnalysisRun
	Metric      v1alpha1.Metric
	Measurement v1alpha1.Measurement
}

// GarbageCollectArgs is the argument of GarbageCollect.
type GarbageCollectArgs struct {
	AnalysisRun *v1alpha1.AnalysisRun
	Metric      v1alpha1.Metric
	Limit       int
}

// GetMetadataArgs is the argument of GetMetadata.
type GetMetadataArgs struct{ Metric v1alpha1.Metric }

// register gives the arguments their names on the wire.
var register = sync.OnceFunc(func() {
	gob.RegisterName("RunArgs", new(RunArgs))
	gob.RegisterName("TerminateAndResumeArgs", new(TerminateAndResumeArgs))
	gob.RegisterName("GarbageCollectArgs", new(GarbageCollectArgs))
	gob.RegisterName("GetMetadataArgs", new(GetMetadataArgs))
})
