package plugin

import (
	"encoding/gob"
	"sync"

	"github.com/penstock-io/penstock/api/v1alpha1"
	"github.com/penstock-io/penstock/internal/plugin"
)

// UpdateHashArgs is the argument of UpdateHash.
type UpdateHashArgs struct {
	Rollout                v1alpha1.Rollout
	CanaryHash, StableHash string
	AdditionalDestinations []v1alpha1.WeightDestination
}

// SetWeightAndVerifyWeightArgs is the argument of SetWeight and VerifyWeight.
type SetWeightAndVerifyWeightArgs struct {
	Rollout                v1alpha1.Rollout
	DesiredWeight          int32
	AdditionalDestinations []v1alpha1.WeightDestination
}

// SetHeaderArgs is the argument of SetHeaderRoute.
type SetHeaderArgs struct {
	Rollout        v1alpha1.Rollout
	SetHeaderRoute v1alpha1.SetHeaderRoute
}

// SetMirrorArgs is the argument of SetMirrorRoute.
type SetMirrorArgs struct {
	Rollout        v1alpha1.Rollout
	SetMirrorRoute v1alpha1.SetMirrorRoute
}

// RemoveManagedRoutesArgs is the argument of RemoveManagedRoutes.
type RemoveManagedRoutesArgs struct{ Rollout v1alpha1.Rollout }

// Verdict is what VerifyWeight returns.
type Verdict struct {
	Verified int32
	Err      plugin.Error
}

// What a plugin says of its weights.
const (
	notVerified int32 = iota
	verified
	notImplemented
)

// register gives the arguments their names on the wire.
var register = sync.OnceFunc(func() {
	gob.RegisterName("UpdateHashArgs", new(UpdateHashArgs))
	gob.RegisterName("SetWeightAndVerifyWeightArgs", new(SetWeightAndVerifyWeightArgs))
	gob.RegisterName("SetHeaderArgs", new(SetHeaderArgs))
	gob.RegisterName("SetMirrorArgs", new(SetMirrorArgs))
	gob.RegisterName("RemoveManagedRoutesArgs", new(RemoveManagedRoutesArgs))
})
