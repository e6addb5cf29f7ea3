package ec2

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// An action is one method of EC2's client.
type action[I, O any] func(context.Context, *I, ...func(*ec2.Options)) (*O, error)

// An ec2API is what of EC2 is used. The client itself is kept nowhere: from whatever is in
// an interface, as a Cloud is, the linker follows all types, and where anything in the
// program asks for methods by their names, as templates do, it keeps all methods of a
// client that it meets: 40 MB of them.
type ec2API struct {
	AttachVolume                  action[ec2.AttachVolumeInput, ec2.AttachVolumeOutput]
	AuthorizeSecurityGroupIngress action[ec2.AuthorizeSecurityGroupIngressInput, ec2.AuthorizeSecurityGroupIngressOutput]
	CreateImage                   action[ec2.CreateImageInput, ec2.CreateImageOutput]
	CreateSecurityGroup           action[ec2.CreateSecurityGroupInput, ec2.CreateSecurityGroupOutput]
	CreateSnapshot                action[ec2.CreateSnapshotInput, ec2.CreateSnapshotOutput]
	CreateSnapshots               action[ec2.CreateSnapshotsInput, ec2.CreateSnapshotsOutput]
	CreateTags                    action[ec2.CreateTagsInput, ec2.CreateTagsOutput]
	CreateVolume                  action[ec2.CreateVolumeInput, ec2.CreateVolumeOutput]
	DeleteSecurityGroup           action[ec2.DeleteSecurityGroupInput, ec2.DeleteSecurityGroupOutput]
	DeleteSnapshot                action[ec2.DeleteSnapshotInput, ec2.DeleteSnapshotOutput]
	DeleteVolume                  action[ec2.DeleteVolumeInput, ec2.DeleteVolumeOutput]
	DeregisterImage               action[ec2.DeregisterImageInput, ec2.DeregisterImageOutput]
	DescribeAddresses             action[ec2.DescribeAddressesInput, ec2.DescribeAddressesOutput]
	DescribeImages                action[ec2.DescribeImagesInput, ec2.DescribeImagesOutput]
	DescribeInstanceTypes         action[ec2.DescribeInstanceTypesInput, ec2.DescribeInstanceTypesOutput]
	DescribeInstances             action[ec2.DescribeInstancesInput, ec2.DescribeInstancesOutput]
	DescribeSecurityGroups        action[ec2.DescribeSecurityGroupsInput, ec2.DescribeSecurityGroupsOutput]
	DescribeSnapshots             action[ec2.DescribeSnapshotsInput, ec2.DescribeSnapshotsOutput]
	DescribeSubnets               action[ec2.DescribeSubnetsInput, ec2.DescribeSubnetsOutput]
	DescribeVolumes               action[ec2.DescribeVolumesInput, ec2.DescribeVolumesOutput]
	DetachVolume                  action[ec2.DetachVolumeInput, ec2.DetachVolumeOutput]
	ModifyInstanceAttribute       action[ec2.ModifyInstanceAttributeInput, ec2.ModifyInstanceAttributeOutput]
	ReleaseAddress                action[ec2.ReleaseAddressInput, ec2.ReleaseAddressOutput]
	RunInstances                  action[ec2.RunInstancesInput, ec2.RunInstancesOutput]
	TerminateInstances            action[ec2.TerminateInstancesInput, ec2.TerminateInstancesOutput]
}

func newEC2(c *ec2.Client) ec2API {
	return ec2API{
		AttachVolume: c.AttachVolume, AuthorizeSecurityGroupIngress: c.AuthorizeSecurityGroupIngress, CreateImage: c.CreateImage,
		CreateSecurityGroup: c.CreateSecurityGroup, CreateSnapshot: c.CreateSnapshot, CreateSnapshots: c.CreateSnapshots, CreateTags: c.CreateTags,
		CreateVolume: c.CreateVolume, DeleteSecurityGroup: c.DeleteSecurityGroup, DeleteSnapshot: c.DeleteSnapshot, DeleteVolume: c.DeleteVolume,
		DeregisterImage: c.DeregisterImage, DescribeAddresses: c.DescribeAddresses, DescribeImages: c.DescribeImages,
		DescribeInstanceTypes: c.DescribeInstanceTypes, DescribeInstances: c.DescribeInstances, DescribeSecurityGroups: c.DescribeSecurityGroups,
		DescribeSnapshots: c.DescribeSnapshots, DescribeSubnets: c.DescribeSubnets, DescribeVolumes: c.DescribeVolumes, DetachVolume: c.DetachVolume,
		ModifyInstanceAttribute: c.ModifyInstanceAttribute, ReleaseAddress: c.ReleaseAddress, RunInstances: c.RunInstances, TerminateInstances: c.TerminateInstances,
	}
}

// An ssmAPI is what of SSM is used.
type ssmAPI struct {
	GetParameter func(context.Context, *ssm.GetParameterInput, ...func(*ssm.Options)) (*ssm.GetParameterOutput, error)
}
