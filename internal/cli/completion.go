package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// helperPrefix begins the file's name under which kubectl asks a plugin for completions:
// kubectl_complete-argo-rollouts for kubectl-argo-rollouts.
const helperPrefix = "kubectl_complete-"

// completing turns a call by kubectl's completion into the call that cobra answers.
func completing(args []string, file string) (whole []string, name string) {
	rest, is := strings.CutPrefix(file, helperPrefix)
	if !is {
		return args, file
	}
	return append([]string{args[0], cobra.ShellCompRequestCmd}, args[1:]...), "kubectl-" + rest
}

func (s *session) completion() *cobra.Command {
	return &cobra.Command{
		Use: "completion bash|zsh|fish|powershell", Short: "Print the script that lets a shell complete the plugin's commands",
		Long: fmt.Sprintf(`Print the script that lets a shell complete the plugin's commands.

	source <(%s completion bash)

kubectl itself completes "%s" if it finds this file also under the name
%s%s in the PATH: a link is enough.`, s.file, s.display, helperPrefix, strings.TrimPrefix(s.file, "kubectl-")),
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"}, Args: exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			root := c.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(s.Out, true)
			case "zsh":
				return root.GenZshCompletion(s.Out)
			case "fish":
				return root.GenFishCompletion(s.Out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(s.Out)
			}
			return &usageError{c, fmt.Sprintf("there is no script for %q", args[0])}
		},
	}
}
