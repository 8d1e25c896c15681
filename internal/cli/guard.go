package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/client-go/discovery"

	"github.com/penstock-io/penstock/internal/guard"
)

// guard prints the policies for the kinds of routes that the cluster serves.
func (s *session) guard() *cobra.Command {
	var (
		routers []string
		account string
	)
	c := &cobra.Command{
		Use: "guard", Args: exactly(0),
		Short: "Print the policies that keep others from moving a release's traffic, for the routers of the cluster",
		RunE: func(*cobra.Command, []string) error {
			kinds, err := s.guarded(routers)
			if err != nil {
				return err
			}
			var text strings.Builder
			for _, k := range kinds {
				one, err := guard.Manifest(k, account)
				if err != nil {
					return err
				}
				text.Write(one)
			}
			return s.print(text.String())
		},
	}
	c.Flags().StringSliceVar(&routers, "router", nil, "guard these kinds instead: "+strings.Join(guardable(), ", "))
	c.Flags().StringVar(&account, "account", guard.Account, "the user that the controller is to the API server")
	return c
}

func guardable() (names []string) {
	for _, k := range guard.Kinds {
		names = append(names, k.Name)
	}
	return names
}

// guarded are the kinds of the names; of none, those whose group the cluster serves.
func (s *session) guarded(names []string) (list []guard.Kind, err error) {
	for _, name := range names {
		i := slices.IndexFunc(guard.Kinds, func(k guard.Kind) bool { return k.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("--router: there is no %q; there are %s", name, strings.Join(guardable(), ", "))
		}
		list = append(list, guard.Kinds[i])
	}
	if len(names) > 0 {
		return list, nil
	}
	config, err := s.flags.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	d, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("prepare the connection to the cluster: %w", err)
	}
	groups, err := d.ServerGroups()
	if err != nil {
		return nil, fmt.Errorf("ask the cluster which kinds it serves: %w", err)
	}
	for _, g := range groups.Groups {
		for _, k := range guard.Kinds {
			if k.Group == g.Name {
				list = append(list, k)
			}
		}
	}
	return list, nil
}
