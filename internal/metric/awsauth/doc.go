// Package awsauth finds credentials as the AWS SDK does (environment, shared files, web
// identity, container and instance roles), and signs requests with them (Signature Version
// 4). The credentials are the controller's own: where they come from is for who runs the
// controller to say, so that the guard on metrics' addresses does not apply to it.
package awsauth
