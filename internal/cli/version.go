package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

func (s *session) version() *cobra.Command {
	var short bool
	c := &cobra.Command{
		Use: "version", Short: "Print the version", Args: exactly(0),
		RunE: func(*cobra.Command, []string) error {
			info, ok := debug.ReadBuildInfo()
			if !ok {
				info = &debug.BuildInfo{}
			}
			return s.print(versionText(s.file, info, short))
		},
	}
	c.Flags().BoolVar(&short, "short", false, "print the first line only")
	return c
}

// versionText is what the binary knows of its making, in the published layout:
// "name: v1.2.3+abcdef0.dirty" and six indented lines.
func versionText(name string, info *debug.BuildInfo, short bool) string {
	set := map[string]string{}
	for _, x := range info.Settings {
		set[x.Key] = x.Value
	}
	version, _, _ := strings.Cut(info.Main.Version, "+")
	if !strings.HasPrefix(version, "v") {
		version = "v0.0.0"
	}
	state, commit := "", set["vcs.revision"]
	if commit != "" {
		state = "clean"
		version += "+" + commit[:min(7, len(commit))]
	}
	if set["vcs.modified"] == "true" {
		state, version = "dirty", version+".dirty"
	}
	if short {
		return fmt.Sprintf("%s: %s\n", name, version)
	}
	return fmt.Sprintf("%s: %s\n  BuildDate: %s\n  GitCommit: %s\n  GitTreeState: %s\n  GoVersion: %s\n  Compiler: %s\n  Platform: %s/%s\n",
		name, version, set["vcs.time"], commit, state, info.GoVersion, runtime.Compiler, runtime.GOOS, runtime.GOARCH)
}
