package ec2

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"popup/console"
)

// mostUserData is how much EC2 takes, before it is written as base64.
const mostUserData = 16384

// userData is how l's is sent: compressed where it is too long, as cloud-init takes it.
func (c *Cloud) userData(data []byte) (string, error) {
	if len(data) > mostUserData && c.opts.Profile == AWS {
		var small bytes.Buffer
		w, err := gzip.NewWriterLevel(&small, gzip.BestCompression)
		if err != nil {
			return "", fmt.Errorf("compress user-data: %w", err)
		}
		_, _ = w.Write(data) // a buffer takes all
		_ = w.Close()
		data = small.Bytes()
	}
	if len(data) > mostUserData {
		return "", refused("the user-data has %d bytes, and EC2 takes %d; give the app fewer and shorter settings, or keep what is long in its repository", len(data), mostUserData)
	}
	return base64.StdEncoding.EncodeToString(data), nil
}

// request is what EC2 is asked for: one machine, since each has a token of its own in its
// user-data, which all machines of one call would share. Its security group is left out.
func (c *Cloud) request(ctx context.Context, p place, l console.Launch) (*ec2.RunInstancesInput, error) {
	data, err := c.userData(l.UserData)
	if err != nil {
		return nil, err
	}
	img, machine, err := c.imageFor(ctx, p.region, l)
	if err != nil {
		return nil, err
	}
	in := &ec2.RunInstancesInput{
		ClientToken: aws.String(c.token(l.Instance, l.Attempt)), MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
		ImageId: aws.String(img.id), InstanceType: types.InstanceType(machine), SubnetId: aws.String(p.subnet),
		InstanceInitiatedShutdownBehavior: types.ShutdownBehaviorTerminate,
		BlockDeviceMappings:               c.disks(img, l), IamInstanceProfile: c.role(),
	}
	if data != "" {
		in.UserData = aws.String(data)
	}
	if l.Bake {
		in.InstanceInitiatedShutdownBehavior = types.ShutdownBehaviorStop
	} else if c.opts.Spot { // a spot machine cannot be turned off and kept
		in.InstanceMarketOptions = &types.InstanceMarketOptionsRequest{MarketType: types.MarketTypeSpot, SpotOptions: &types.SpotMarketOptions{
			SpotInstanceType: types.SpotInstanceTypeOneTime, InstanceInterruptionBehavior: types.InstanceInterruptionBehaviorTerminate}}
	}
	if !p.region.compat {
		in.MetadataOptions = &types.InstanceMetadataOptionsRequest{HttpEndpoint: types.InstanceMetadataEndpointStateEnabled,
			HttpTokens: types.HttpTokensStateRequired, HttpPutResponseHopLimit: aws.Int32(1)}
		tags := c.tagsOf(l)
		in.TagSpecifications = []types.TagSpecification{{ResourceType: types.ResourceTypeInstance, Tags: tags}, {ResourceType: types.ResourceTypeVolume, Tags: tags}}
	}
	return in, nil
}

// role is the instance profile; nil: none.
func (c *Cloud) role() *types.IamInstanceProfileSpecification {
	switch name := c.opts.InstanceProfile; {
	case name == "":
		return nil
	case strings.HasPrefix(name, "arn:"):
		return &types.IamInstanceProfileSpecification{Arn: aws.String(name)}
	default:
		return &types.IamInstanceProfileSpecification{Name: aws.String(name)}
	}
}

// disks is the root volume, where it is another one than the image's.
func (c *Cloud) disks(img image, l console.Launch) []types.BlockDeviceMapping {
	if img.root == "" {
		return nil
	}
	const gib = 1 << 30
	size := max(img.rootGiB, c.opts.RootGiB, int32(min((l.Disk+gib-1)/gib, mostRootGiB)))
	ebs := &types.EbsBlockDevice{DeleteOnTermination: aws.Bool(true), VolumeType: types.VolumeType(c.opts.VolumeType)}
	if size > 0 {
		ebs.VolumeSize = aws.Int32(size)
	}
	if c.opts.Profile == AWS {
		ebs.Encrypted = aws.Bool(true)
	}
	return []types.BlockDeviceMapping{{DeviceName: aws.String(img.root), Ebs: ebs}}
}
