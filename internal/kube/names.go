package kube

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"github.com/penstock-io/penstock/api/v1alpha1"
)

// Published labels and annotations (core.md §12).
const (
	hashLabel      = v1alpha1.PodTemplateHashLabel
	typeLabel      = v1alpha1.RolloutTypeLabel
	stepLabel      = v1alpha1.StepIndexLabel
	instanceLabel  = v1alpha1.InstanceIDLabel
	revisionKey    = v1alpha1.RevisionAnnotation
	historyKey     = v1alpha1.RevisionHistoryAnnotation
	desiredKey     = v1alpha1.DesiredReplicasAnnotation
	metadataKey    = v1alpha1.EphemeralMetadataAnnotation
	deadlineKey    = v1alpha1.ScaleDownDeadlineAnnotation
	managedKey     = v1alpha1.ManagedByAnnotation
	lastAppliedKey = v1alpha1.LastAppliedAnnotation
	notifiedKey    = v1alpha1.NotifiedAnnotation
	workloadKey    = v1alpha1.WorkloadGenerationAnnotation
	changedByKey   = v1alpha1.ChangedByAnnotation
	previousKey    = v1alpha1.PreviousUpdateAnnotation
	copiedKey      = "penstock.io/copied-annotations"
	hostTopology   = "kubernetes.io/hostname"
	// workloadFinalizer keeps a Rollout until its pods are handed back to the workload.
	workloadFinalizer = "penstock.io/workload"
	maxHistory        = 10 // entries of the revision history
	eventsComponent   = "rollouts-controller"
)

// EventsComponent is the source component of every event, as published.
const EventsComponent = eventsComponent

// copied reports whether an annotation of the Rollout goes onto its ReplicaSets: all but
// the published five, and those that mean something of their own on a ReplicaSet.
func copied(key string) bool {
	switch key {
	case lastAppliedKey, revisionKey, historyKey, desiredKey, notifiedKey, metadataKey, deadlineKey, copiedKey, changedByKey, previousKey:
		return false
	}
	return true
}

// instanceSelector picks the objects of this controller: those that carry its id, or
// without an id those that carry none (surfaces.md §4.3).
func instanceSelector(id string) labels.Selector {
	op, values := selection.DoesNotExist, []string(nil)
	if id != "" {
		op, values = selection.Equals, []string{id}
	}
	return requirement(instanceLabel, op, values)
}

func hashSelector() labels.Selector { return requirement(hashLabel, selection.Exists, nil) }

// requirement makes a selector of one requirement. Only an instance id that is no valid
// label value can be refused; it then selects nothing.
func requirement(key string, op selection.Operator, values []string) labels.Selector {
	r, err := labels.NewRequirement(key, op, values)
	if err != nil {
		return labels.Nothing()
	}
	return labels.NewSelector().Add(*r)
}

// controllerOf returns the UID of the owner that controls the object, "" for none.
func controllerOf(o metav1.Object) string {
	if ref := metav1.GetControllerOf(o); ref != nil {
		return string(ref.UID)
	}
	return ""
}
