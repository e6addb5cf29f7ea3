package ec2fake

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// TestARefusedLaunchMakesNothing: whatever is wrong with a launch is named as EC2 names it.
func TestARefusedLaunchMakesNothing(t *testing.T) {
	type in = *ec2.RunInstancesInput
	for _, c := range []struct {
		name, want string
		world      func(*Fake)
		ask        func(*Fake, in)
	}{
		{"image gone", "InvalidAMIID.NotFound", nil, func(_ *Fake, i in) { i.ImageId = aws.String("ami-0123456789abcdef0") }},
		{"image malformed", "InvalidAMIID.Malformed", nil, func(_ *Fake, i in) { i.ImageId = aws.String("debian") }},
		{"image of another architecture", "InvalidParameterValue", nil, func(f *Fake, i in) { i.ImageId = aws.String(f.Image("", "debian-12", "x86_64")) }},
		{"unknown type", "InvalidParameterValue", nil, func(_ *Fake, i in) { i.InstanceType = "z9.huge" }},
		{"type not in the zone", "Unsupported", func(f *Fake) { f.Unoffer("us-east-1a", "t4g.small") }, nil},
		{"zone full", "InsufficientInstanceCapacity", func(f *Fake) { f.Full("us-east-1a", true) }, nil},
		{"too many processors", "VcpuLimitExceeded", func(f *Fake) { f.Quota("", 1) }, nil},
		{"too many spot processors", "MaxSpotInstanceCountExceeded", func(f *Fake) { f.SpotQuota("", 1) }, func(_ *Fake, i in) { spot(i) }},
		{"protected and spot", "InvalidParameterCombination", nil, func(_ *Fake, i in) { spot(i); i.DisableApiTermination = aws.Bool(true) }},
		{"user-data too long", "InvalidParameterValue", nil, func(_ *Fake, i in) { i.UserData = encoded(16385) }},
		{"user-data no base64", "InvalidUserData.Malformed", nil, func(_ *Fake, i in) { i.UserData = aws.String("#!/bin/sh") }},
		{"subnet gone", "InvalidSubnetID.NotFound", nil, func(_ *Fake, i in) { i.SubnetId = aws.String("subnet-0123456789abcdef0") }},
		{"group gone", "InvalidGroup.NotFound", nil, func(_ *Fake, i in) { i.SecurityGroupIds = []string{"sg-0123456789abcdef0"} }},
		{"unknown profile", "InvalidParameterValue", nil, func(_ *Fake, i in) {
			i.IamInstanceProfile = &types.IamInstanceProfileSpecification{Name: aws.String("nobody")}
		}},
		{"not allowed", "UnauthorizedOperation", func(f *Fake) { f.Deny("RunInstances") }, nil},
		{"root volume too small", "InvalidBlockDeviceMapping", nil, func(_ *Fake, i in) { i.BlockDeviceMappings = root(4, "gp3") }},
		{"unknown volume type", "InvalidParameterValue", nil, func(_ *Fake, i in) { i.BlockDeviceMappings = root(9, "gp9") }},
		{"token too long", "InvalidParameterValue", nil, func(_ *Fake, i in) { i.ClientToken = aws.String(strings.Repeat("x", 65)) }},
		{"tag twice", "InvalidParameterValue", nil, func(_ *Fake, i in) { i.TagSpecifications = marked("instance", "a", "a") }},
		{"unknown parameter", "UnknownParameter", nil, func(_ *Fake, i in) { i.KernelId = aws.String("aki-1") }},
		{"dry run", "DryRunOperation", nil, func(_ *Fake, i in) { i.DryRun = aws.Bool(true) }},
		{"dry run without the image", "InvalidAMIID.NotFound", nil, func(_ *Fake, i in) { i.DryRun, i.ImageId = aws.Bool(true), aws.String("ami-0123456789abcdef0") }},
		{"dry run of a full zone", "DryRunOperation", func(f *Fake) { f.Full("us-east-1a", true) }, func(_ *Fake, i in) { i.DryRun = aws.Bool(true) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := New(t, Options{})
			if c.world != nil {
				c.world(f)
			}
			_, err := client(f, "us-east-1").RunInstances(t.Context(), ask(f, func(i in) {
				if c.ask != nil {
					c.ask(f, i)
				}
			}))
			wantCode(t, err, c.want)
			if left := f.Left(); len(left) != 0 {
				t.Errorf("left are %q", left)
			}
		})
	}
	f := New(t, Options{NoDefaultVPC: true})
	_, err := client(f, "us-east-1").RunInstances(t.Context(), ask(f))
	wantCode(t, err, "VPCIdNotSpecified")
	f = New(t, Options{})
	launch(t, f, func(i in) { i.UserData = encoded(16384) })
}

func spot(i *ec2.RunInstancesInput) {
	i.InstanceMarketOptions = &types.InstanceMarketOptionsRequest{MarketType: types.MarketTypeSpot}
}

func encoded(bytes int) *string {
	return aws.String(base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", bytes))))
}

func root(gib int32, kind types.VolumeType) []types.BlockDeviceMapping {
	return []types.BlockDeviceMapping{{DeviceName: aws.String(rootDevice), Ebs: &types.EbsBlockDevice{VolumeSize: &gib, VolumeType: kind}}}
}

func marked(kind types.ResourceType, keys ...string) []types.TagSpecification {
	spec := types.TagSpecification{ResourceType: kind}
	for _, key := range keys {
		spec.Tags = append(spec.Tags, types.Tag{Key: aws.String(key), Value: aws.String("of " + key)})
	}
	return []types.TagSpecification{spec}
}

// TestCompatRefusesWhatEucalyptusRefuses, and does the same without it.
func TestCompatRefusesWhatEucalyptusRefuses(t *testing.T) {
	f := New(t, Options{Compat: true})
	c, zone := client(f, "eucalyptus"), f.Zones("")[0]
	type in = *ec2.RunInstancesInput
	for name, change := range map[string]func(in){
		"metadata options": func(i in) { i.MetadataOptions = &types.InstanceMetadataOptionsRequest{HttpTokens: "required"} },
		"tags":             func(i in) { i.TagSpecifications = marked("instance", "a") },
		"template":         func(i in) { i.LaunchTemplate = &types.LaunchTemplateSpecification{LaunchTemplateName: aws.String("x")} },
		"dry run":          func(i in) { i.DryRun = aws.Bool(true) },
		"spot":             spot,
		"encrypted": func(i in) {
			i.BlockDeviceMappings = []types.BlockDeviceMapping{{DeviceName: aws.String(rootDevice), Ebs: &types.EbsBlockDevice{Encrypted: aws.Bool(true)}}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.RunInstances(t.Context(), ask(f, change))
			wantCode(t, err, "UnknownParameter")
		})
	}
	_, err := c.RunInstances(t.Context(), ask(f, func(i in) { i.BlockDeviceMappings = root(9, "gp3") }))
	wantCode(t, err, "InvalidParameterValue")
	_, err = c.CreateSecurityGroup(t.Context(), &ec2.CreateSecurityGroupInput{GroupName: aws.String("g"), Description: aws.String("d"), TagSpecifications: marked("security-group", "a")})
	wantCode(t, err, "UnknownParameter")
	_, err = c.CreateVolume(t.Context(), &ec2.CreateVolumeInput{AvailabilityZone: &zone, Size: aws.Int32(1)}) // the SDK makes up a token
	wantCode(t, err, "UnknownParameter")
	_, err = c.CreateSnapshots(t.Context(), &ec2.CreateSnapshotsInput{InstanceSpecification: &types.InstanceSpecification{InstanceId: aws.String("i-01234567")}})
	wantCode(t, err, "InvalidAction")
	if left := f.Left(); len(left) != 0 {
		t.Fatalf("left are %q", left)
	}
	i := launch(t, f, func(i in) { i.ClientToken = aws.String("t") })
	if _, err := c.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: []string{*i.InstanceId}, Tags: marked("", "a")[0].Tags}); err != nil {
		t.Fatal(err)
	}
	out := must[*ec2.DescribeInstancesOutput](t)(c.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{Filters: []types.Filter{
		{Name: aws.String("client-token"), Values: []string{"t"}}, {Name: aws.String("tag:a"), Values: []string{"of a"}}}}))
	if len(out.Reservations) != 1 {
		t.Fatalf("found %d by token and tag", len(out.Reservations))
	}
}
