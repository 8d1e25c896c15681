package cli

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/version"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// askWithin is how long `version` waits for the cluster.
const askWithin = 3 * time.Second

// controllers are the names that the Deployments of controllers have as their label
// app.kubernetes.io/name: ours, and the published one's.
const controllers = "app.kubernetes.io/name in (penstock-controller, argo-rollouts)"

func (s *session) version() *cobra.Command {
	var short, alone bool
	c := &cobra.Command{
		Use: "version", Short: "Print the version of the plugin, and of the controllers in the cluster", Args: exactly(0),
		RunE: func(c *cobra.Command, _ []string) error {
			info, ok := debug.ReadBuildInfo()
			if !ok {
				info = &debug.BuildInfo{}
			}
			text := versionText(s.file, info, short)
			if err := s.print(text); err != nil || short || alone {
				return err
			}
			own, _, _ := strings.Cut(strings.TrimPrefix(text, s.file+": "), "\n")
			return s.controllers(c.Context(), own)
		},
	}
	c.Flags().BoolVar(&short, "short", false, "print the first line only")
	c.Flags().BoolVar(&alone, "client", false, "do not ask the cluster which controllers it runs")
	return c
}

// controllers prints which controllers the cluster runs. That nobody knows is no error: the
// plugin's own version is what was asked for.
func (s *session) controllers(ctx context.Context, own string) error {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	cl, err := s.connect()
	list := &appsv1.DeploymentList{}
	if err == nil {
		var by labels.Selector
		if by, err = labels.Parse(controllers); err == nil {
			err = cl.List(ctx, list, client.MatchingLabelsSelector{Selector: by})
		}
	}
	switch {
	case err != nil:
		return s.print("controller: not known: " + s.plainly(err) + "\n")
	case len(list.Items) == 0:
		return s.print("controller: none in this cluster has the label " + controllers + "\n")
	}
	for _, d := range list.Items {
		image := "no container"
		if containers := d.Spec.Template.Spec.Containers; len(containers) > 0 {
			image = containers[0].Image
		}
		theirs := tagOf(image)
		if err := s.print(fmt.Sprintf("controller: %s\n  Deployment: %s/%s\n  Image: %s\n", cmp.Or(theirs, "of an image without a version"), d.Namespace, d.Name, image)); err != nil {
			return err
		}
		if skew(own, theirs) {
			fmt.Fprintf(s.Err, "Warning: the plugin is of %s and the controller %s/%s of %s: use the plugin of the controller's release\n", own, d.Namespace, d.Name, theirs)
		}
	}
	return nil
}

// tagOf is the version that an image names; "" for none.
func tagOf(image string) string {
	image, _, _ = strings.Cut(image, "@")
	_, tag, _ := strings.Cut(image[strings.LastIndexByte(image, '/')+1:], ":")
	return tag
}

// skew: both are releases, of which the first two numbers differ.
func skew(own, theirs string) bool {
	a, err := version.ParseGeneric(own)
	b, bad := version.ParseGeneric(theirs)
	if err != nil || bad != nil || a.Major()+a.Minor() == 0 {
		return false
	}
	return a.Major() != b.Major() || a.Minor() != b.Minor()
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
