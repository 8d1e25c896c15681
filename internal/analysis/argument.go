package analysis

import "github.com/penstock-io/penstock/api/v1alpha1"

// Arguments gives the args of a Rollout their values, for those who pass them on: an
// experiment step puts them into its Experiment. Tags that are not about the Rollout stay.
func Arguments(in BuildInput) (args []v1alpha1.Argument, err error) {
	for _, a := range in.Analysis.Args {
		v, err := argOf(in, a)
		if err != nil {
			return nil, err
		}
		args = append(args, v1alpha1.Argument{Name: a.Name, Value: &v})
	}
	return args, nil
}
