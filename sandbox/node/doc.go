// Package node plays the kubelet and the scheduler of a sandbox: it binds every pod to
// its one Node and moves the pod's status through a real pod's life, without
// containers.
//
//	pod event ─► keeper (one per pod) ─► life.advance(now, pod) ─► status patch
//	                 ▲                          │
//	                 └──── timer ◄── wake ◄─────┴─► Workload: start, Drain, Stop
//
// What a container does follows from its image and command:
//
//   - no command: a server. It runs until it is told to end, and Options.StartWorkload
//     may put a real server on loopback behind it;
//   - a command of sleep, exit, true, false and echo, alone or as a chain inside
//     sh -c: it ends as the shell would end it (see package shell);
//   - any other command ends at once with code 127, hence CrashLoopBackOff;
//   - an image tag that contains "bad" or "error": ImagePullBackOff, whatever the rest.
//
// Annotations on a pod ask for more; see the Annotation constants.
//
// Pod IPs are made up, because Kubernetes refuses loopback addresses in EndpointSlices;
// Node.Addr translates them. life is pure: it is given the time and never reads it.
package node
