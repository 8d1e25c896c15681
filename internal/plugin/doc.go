// Package plugin runs other people's programs as plugins, over hashicorp/go-plugin and
// net/rpc as published (surfaces.md §5), or gRPC (plugin/v2), whichever the program offers.
// It reads the ConfigMap that names them, fetches and checks their binaries, starts each
// when it is first needed, bounds every call, and starts one again that has died. Nothing of
// it happens before a plugin is used, and a plugin that is missing or broken is an error for
// those who use it and for nobody else.
package plugin
