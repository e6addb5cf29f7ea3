package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"popup/cloud/ec2"
)

func newConsolePolicyCommand() *cobra.Command {
	var roles []string
	cmd := &cobra.Command{
		Use:   "iam-policy",
		Short: "print the least that a console must be allowed on AWS",
		Long: `iam-policy prints an IAM policy: what a console with --cloud ec2 calls, and nothing it does not.
What it changes and ends must be marked as a console's. Put it on the role or the user whose
credentials the console finds. With --role it may also give machines that role, which is what
--ec2-instance-profile needs. An image that is named by a parameter of your own in SSM needs
ssm:GetParameter on that one besides.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, r := range roles {
				if !strings.HasPrefix(r, "arn:") || !strings.Contains(r, ":role/") {
					return usageError{fmt.Errorf("%q is no role; write --role like arn:aws:iam::123456789012:role/NAME", r)}
				}
			}
			_, err := fmt.Fprint(cmd.OutOrStdout(), ec2.Policy(roles...))
			return err
		},
	}
	cmd.Flags().StringArrayVar(&roles, "role", nil, "`ARN` of a role that machines get by their instance profile; may be given again")
	return cmd
}
