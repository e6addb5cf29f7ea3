package ec2fake

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func TestAVolumeMovesFromMachineToMachine(t *testing.T) {
	f := New(t, Options{Takes: time.Minute})
	c, zones := client(f, "us-east-1"), f.Zones("")
	create := &ec2.CreateVolumeInput{AvailabilityZone: &zones[0], Size: aws.Int32(3), Encrypted: aws.Bool(true), ClientToken: aws.String("v"), VolumeType: "gp3", TagSpecifications: marked("volume", "a")}
	v := must[*ec2.CreateVolumeOutput](t)(c.CreateVolume(t.Context(), create))
	if again := must[*ec2.CreateVolumeOutput](t)(c.CreateVolume(t.Context(), create)); *again.VolumeId != *v.VolumeId {
		t.Fatal("made twice")
	}
	at := func(zone int) *string {
		return launch(t, f, func(i *ec2.RunInstancesInput) { i.Placement = &types.Placement{AvailabilityZone: &zones[zone]} }).InstanceId
	}
	one, far := at(0), at(1)
	attach := func(to *string) error {
		_, err := c.AttachVolume(t.Context(), &ec2.AttachVolumeInput{VolumeId: v.VolumeId, InstanceId: to, Device: aws.String("/dev/sdf")})
		return err
	}
	detach := func() error {
		_, err := c.DetachVolume(t.Context(), &ec2.DetachVolumeInput{VolumeId: v.VolumeId})
		return err
	}
	remove := func() error {
		_, err := c.DeleteVolume(t.Context(), &ec2.DeleteVolumeInput{VolumeId: v.VolumeId})
		return err
	}
	wantCode(t, attach(one), "IncorrectState")
	wantCode(t, remove(), "IncorrectState")
	f.Advance(time.Minute)
	wantCode(t, attach(far), "InvalidVolume.ZoneMismatch")
	if err := attach(one); err != nil {
		t.Fatal(err)
	}
	wantCode(t, attach(one), "VolumeInUse")
	wantCode(t, remove(), "VolumeInUse")
	if err := detach(); err != nil {
		t.Fatal(err)
	}
	wantCode(t, attach(one), "VolumeInUse")
	f.Advance(time.Minute)
	wantCode(t, detach(), "IncorrectState")
	if err := attach(one); err != nil {
		t.Fatal(err)
	}
	f.Advance(time.Minute)
	if _, err := c.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{*one, *far}}); err != nil {
		t.Fatal(err)
	}
	wantCode(t, remove(), "VolumeInUse")
	f.Advance(time.Minute)
	if got := f.Volumes(); len(got) != 1 || got[0].State != "available" || !got[0].Encrypted || got[0].Tags["a"] != "of a" {
		t.Fatalf("left are %+v", got)
	}
	if err := remove(); err != nil {
		t.Fatal(err)
	}
	f.Advance(time.Minute)
	wantCode(t, remove(), "InvalidVolume.NotFound")
	if left := f.Left(); len(left) != 0 {
		t.Fatalf("left are %q", left)
	}
}

func TestAMachineBecomesAnImage(t *testing.T) {
	f := New(t, Options{})
	c := client(f, "us-east-1")
	i := launch(t, f)
	bake := func() (*ec2.CreateImageOutput, error) {
		return c.CreateImage(t.Context(), &ec2.CreateImageInput{InstanceId: i.InstanceId, Name: aws.String("popup/one"), TagSpecifications: append(marked("image", "a"), marked("snapshot", "a")...)})
	}
	_, err := bake()
	wantCode(t, err, "IncorrectInstanceState")
	become(t, f, *i.InstanceId, types.InstanceStateNameRunning)
	f.PowerOff(*i.InstanceId)
	become(t, f, *i.InstanceId, types.InstanceStateNameStopped)
	made := must[*ec2.CreateImageOutput](t)(bake())
	_, err = bake()
	wantCode(t, err, "InvalidAMIName.Duplicate")
	launchIt := func() error {
		_, err := c.RunInstances(t.Context(), ask(f, func(in *ec2.RunInstancesInput) { in.ImageId = made.ImageId }))
		return err
	}
	wantCode(t, launchIt(), "InvalidAMIID.Unavailable")
	f.Advance(time.Minute)
	if err := launchIt(); err != nil {
		t.Fatal(err)
	}
	mine := must[*ec2.DescribeImagesOutput](t)(c.DescribeImages(t.Context(), &ec2.DescribeImagesInput{Owners: []string{"self"}}))
	if len(mine.Images) != 1 || mine.Images[0].State != types.ImageStateAvailable || *mine.Images[0].Tags[0].Value != "of a" {
		t.Fatalf("mine are %+v", mine.Images)
	}
	snapshot := mine.Images[0].BlockDeviceMappings[0].Ebs.SnapshotId
	remove := func() error {
		_, err := c.DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: snapshot})
		return err
	}
	wantCode(t, remove(), "InvalidSnapshot.InUse")
	if _, err := c.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: made.ImageId}); err != nil {
		t.Fatal(err)
	}
	wantCode(t, launchIt(), "InvalidAMIID.NotFound")
	if err := remove(); err != nil {
		t.Fatal(err)
	}
	wantCode(t, remove(), "InvalidSnapshot.NotFound")
	all := must[*ec2.CreateSnapshotsOutput](t)(c.CreateSnapshots(t.Context(), &ec2.CreateSnapshotsInput{InstanceSpecification: &types.InstanceSpecification{InstanceId: i.InstanceId}}))
	if len(all.Snapshots) != 1 || all.Snapshots[0].State != types.SnapshotStatePending {
		t.Fatalf("copied %+v", all.Snapshots)
	}
}

func TestAGroupStaysWhileItIsUsed(t *testing.T) {
	f := New(t, Options{})
	c := client(f, "us-east-1")
	create := &ec2.CreateSecurityGroupInput{GroupName: aws.String("g"), Description: aws.String("d")}
	g := must[*ec2.CreateSecurityGroupOutput](t)(c.CreateSecurityGroup(t.Context(), create))
	_, err := c.CreateSecurityGroup(t.Context(), create)
	wantCode(t, err, "InvalidGroup.Duplicate")
	rules := &ec2.AuthorizeSecurityGroupIngressInput{GroupId: g.GroupId, IpPermissions: []types.IpPermission{{IpProtocol: aws.String("tcp"), FromPort: aws.Int32(80),
		ToPort: aws.Int32(80), IpRanges: []types.IpRange{{CidrIp: aws.String("0.0.0.0/0")}}, Ipv6Ranges: []types.Ipv6Range{{CidrIpv6: aws.String("::/0")}}}}}
	must[*ec2.AuthorizeSecurityGroupIngressOutput](t)(c.AuthorizeSecurityGroupIngress(t.Context(), rules))
	_, err = c.AuthorizeSecurityGroupIngress(t.Context(), rules)
	wantCode(t, err, "InvalidPermission.Duplicate")
	out := must[*ec2.DescribeSecurityGroupsOutput](t)(c.DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{GroupNames: []string{"g"}}))
	if p := out.SecurityGroups[0].IpPermissions; len(p) != 1 || *p[0].FromPort != 80 || len(p[0].IpRanges) != 1 || len(p[0].Ipv6Ranges) != 1 {
		t.Fatalf("it lets in %+v", p)
	}
	i := launch(t, f, func(in *ec2.RunInstancesInput) { in.SecurityGroupIds = []string{*g.GroupId} })
	remove := func() error {
		_, err := c.DeleteSecurityGroup(t.Context(), &ec2.DeleteSecurityGroupInput{GroupId: g.GroupId})
		return err
	}
	wantCode(t, remove(), "DependencyViolation")
	a := must[*ec2.AllocateAddressOutput](t)(c.AllocateAddress(t.Context(), &ec2.AllocateAddressInput{TagSpecifications: marked("elastic-ip", "a")}))
	become(t, f, *i.InstanceId, types.InstanceStateNameRunning)
	must[*ec2.AssociateAddressOutput](t)(c.AssociateAddress(t.Context(), &ec2.AssociateAddressInput{AllocationId: a.AllocationId, InstanceId: i.InstanceId}))
	_, err = c.ReleaseAddress(t.Context(), &ec2.ReleaseAddressInput{AllocationId: a.AllocationId})
	wantCode(t, err, "InvalidIPAddress.InUse")
	f.PowerOff(*i.InstanceId)
	must[*ec2.TerminateInstancesOutput](t)(c.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{*i.InstanceId}}))
	become(t, f, *i.InstanceId, types.InstanceStateNameTerminated)
	if err := remove(); err != nil {
		t.Fatal(err)
	}
	wantCode(t, remove(), "InvalidGroup.NotFound")
	must[*ec2.ReleaseAddressOutput](t)(c.ReleaseAddress(t.Context(), &ec2.ReleaseAddressInput{AllocationId: a.AllocationId}))
	if left := f.Left(); len(left) != 0 {
		t.Fatalf("left are %q", left)
	}
}
