package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// NotificationStatus is Penstock's own: what is to be sent about an object. What is due is
// written together with the change that it tells of, so that neither is there without the
// other, whenever the controller ends. Objects that nobody subscribes to have none.
type NotificationStatus struct {
	// Pending are to be sent, oldest first.
	// +optional
	// +kubebuilder:validation:MaxItems=64
	Pending []PendingNotification `json:"pending,omitempty"`
	// Holding are the conditions of triggers that held last, as short hashes: each is told
	// when it begins to hold.
	// +optional
	Holding []string `json:"holding,omitempty"`
	// Warned are the newest warnings that were told, as short hashes: what stands is told once.
	// +optional
	Warned []string `json:"warned,omitempty"`
	// Problems are subscriptions that cannot be served, and why.
	// +optional
	Problems []string `json:"problems,omitempty"`
}

// PendingNotification is one message to one recipient. It has what the message is made of, for
// the case that the object has changed before it could be sent.
type PendingNotification struct {
	// ID is the same however often the message is sent.
	ID      string `json:"id"`
	Trigger string `json:"trigger"`
	// Templates make one message together.
	Templates []string `json:"templates"`
	Service   string   `json:"service"`
	// +optional
	Recipient string `json:"recipient,omitempty"`
	// Namespace is where the configuration is; empty means the controller's.
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// At is when what it tells of happened.
	At metav1.Time `json:"at"`
	// Type, Reason and Event are of the event that it tells of, if it tells of one: Normal or
	// Warning, its word, its sentence.
	// +optional
	Type string `json:"type,omitempty"`
	// +optional
	Reason string `json:"reason,omitempty"`
	// +optional
	Event string `json:"event,omitempty"`
	// Phase, Message and Step are of the object after the change.
	// +optional
	Phase string `json:"phase,omitempty"`
	// +optional
	Message string `json:"message,omitempty"`
	// +optional
	Step *int32 `json:"step,omitempty"`
	// Failure is why it could not be sent, at the first try.
	// +optional
	Failure string `json:"failure,omitempty"`
}
