package ec2

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"popup/console"
)

// Check implements console.Cloud. EC2 is asked whether it would, where it can be asked
// that; whether there is room just now, it tells only when it is asked for a machine.
func (c *Cloud) Check(ctx context.Context, l console.Launch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	_, tooLong := c.userData(l.UserData)
	p, err := c.placeFor(ctx, l)
	if err != nil {
		return errors.Join(tooLong, err)
	}
	img, machine, err := c.imageFor(ctx, p.region, l)
	if err != nil {
		return errors.Join(tooLong, err)
	}
	if p.region.compat {
		return tooLong
	}
	if err := c.checkType(ctx, p.region, machine, img, l); err != nil || tooLong != nil {
		return errors.Join(tooLong, err)
	}
	in, err := c.request(ctx, p, l)
	if err != nil {
		return err
	}
	in.ClientToken, in.DryRun = nil, aws.Bool(true)
	_, err = call(ctx, p.region, p.region.ec2.RunInstances, in)
	if is(err, "DryRunOperation") {
		return nil
	}
	return err
}

// checkType says in what a type of machine is less than an app needs.
func (c *Cloud) checkType(ctx context.Context, r *region, machine string, img image, l console.Launch) error {
	out, err := call(ctx, r, r.ec2.DescribeInstanceTypes, &ec2.DescribeInstanceTypesInput{InstanceTypes: []types.InstanceType{types.InstanceType(machine)}})
	if err != nil || len(out.InstanceTypes) == 0 {
		return err
	}
	var errs []error
	has := out.InstanceTypes[0]
	if has.VCpuInfo != nil && float64(aws.ToInt32(has.VCpuInfo.DefaultVCpus)) < l.CPUs {
		errs = append(errs, fmt.Errorf("a %s has %d processors, and this app needs %g; give a larger --ec2-type", machine, aws.ToInt32(has.VCpuInfo.DefaultVCpus), l.CPUs))
	}
	const mib = 1 << 20
	if has.MemoryInfo != nil && aws.ToInt64(has.MemoryInfo.SizeInMiB)*mib < l.Memory {
		errs = append(errs, fmt.Errorf("a %s has %d MiB of memory, and this app needs %d; give a larger --ec2-type", machine, aws.ToInt64(has.MemoryInfo.SizeInMiB), l.Memory/mib))
	}
	return errors.Join(errs...)
}
