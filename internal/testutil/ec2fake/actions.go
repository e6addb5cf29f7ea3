package ec2fake

import (
	"context"
	"net/http"
	"slices"
	"strings"
)

// An action is something EC2 does.
type action struct {
	do    func(*region, params) ([]element, error)
	takes string // its parameters, without numbers
	// not are those that Eucalyptus refuses, by their beginnings; "all": it has no such action.
	not string
}

const (
	tagged   = "TagSpecification.ResourceType TagSpecification.Tag.Key TagSpecification.Tag.Value"
	filtered = "Filter.Name Filter.Value MaxResults NextToken"
	ports    = "GroupId IpPermissions.IpProtocol IpPermissions.FromPort IpPermissions.ToPort IpPermissions.IpRanges.CidrIp IpPermissions.IpRanges.Description " +
		"IpPermissions.Ipv6Ranges.CidrIpv6 IpPermissions.Ipv6Ranges.Description IpPermissions.Groups.GroupId IpPermissions.Groups.UserId "
	runs = "ImageId InstanceType MinCount MaxCount ClientToken UserData SubnetId SecurityGroupId SecurityGroup KeyName Placement.AvailabilityZone " +
		"InstanceInitiatedShutdownBehavior DisableApiTermination EbsOptimized IamInstanceProfile.Name IamInstanceProfile.Arn InstanceMarketOptions.MarketType " +
		"InstanceMarketOptions.SpotOptions.SpotInstanceType InstanceMarketOptions.SpotOptions.InstanceInterruptionBehavior InstanceMarketOptions.SpotOptions.MaxPrice " +
		"MetadataOptions.HttpTokens MetadataOptions.HttpPutResponseHopLimit MetadataOptions.HttpEndpoint MetadataOptions.InstanceMetadataTags " +
		"BlockDeviceMapping.DeviceName BlockDeviceMapping.Ebs.VolumeSize BlockDeviceMapping.Ebs.VolumeType BlockDeviceMapping.Ebs.Encrypted " +
		"BlockDeviceMapping.Ebs.DeleteOnTermination NetworkInterface.DeviceIndex NetworkInterface.SubnetId NetworkInterface.AssociatePublicIpAddress " +
		"NetworkInterface.SecurityGroupId NetworkInterface.DeleteOnTermination CreditSpecification.CpuCredits Monitoring.Enabled "
)

// actions are all that it does.
var actions = map[string]action{
	"RunInstances": {(*region).runInstances, runs + tagged,
		"MetadataOptions TagSpecification InstanceMarketOptions BlockDeviceMapping.Ebs.Encrypted LaunchTemplate CreditSpecification"},
	"DescribeInstances":             {(*region).describeInstances, "InstanceId " + filtered, ""},
	"TerminateInstances":            {(*region).terminateInstances, "InstanceId", ""},
	"StopInstances":                 {(*region).stopInstances, "InstanceId Force", ""},
	"StartInstances":                {(*region).startInstances, "InstanceId", ""},
	"ModifyInstanceAttribute":       {(*region).modifyInstance, "InstanceId DisableApiTermination.Value", ""},
	"DescribeInstanceTypes":         {(*region).describeKinds, "InstanceType " + filtered, "all"},
	"DescribeInstanceTypeOfferings": {(*region).describeOfferings, "LocationType " + filtered, "all"},
	"CreateTags":                    {(*region).createTags, "ResourceId Tag.Key Tag.Value", ""},
	"DescribeVpcs":                  {(*region).describeVPCs, "VpcId " + filtered, ""},
	"DescribeSubnets":               {(*region).describeSubnets, "SubnetId " + filtered, ""},
	"DescribeAvailabilityZones":     {(*region).describeZones, "ZoneName AllAvailabilityZones " + filtered, ""},
	"CreateSecurityGroup":           {(*region).createGroup, "GroupName GroupDescription VpcId " + tagged, "TagSpecification"},
	"AuthorizeSecurityGroupIngress": {(*region).authorizeIngress, ports + tagged, "TagSpecification IpPermissions.Ipv6Ranges"},
	"RevokeSecurityGroupIngress":    {(*region).revokeIngress, ports, "IpPermissions.Ipv6Ranges"},
	"DescribeSecurityGroups":        {(*region).describeGroups, "GroupId GroupName " + filtered, ""},
	"DeleteSecurityGroup":           {(*region).deleteGroup, "GroupId", ""},
	"DescribeImages":                {(*region).describeImages, "ImageId Owner ImageOwner ExecutableBy IncludeDeprecated IncludeDisabled " + filtered, "IncludeDeprecated IncludeDisabled"},
	"CreateImage":                   {(*region).createImage, "InstanceId Name Description NoReboot " + tagged, "TagSpecification"},
	"DeregisterImage":               {(*region).deregisterImage, "ImageId", ""},
	"CreateVolume":                  {(*region).createVolume, "AvailabilityZone Size SnapshotId VolumeType Encrypted Iops Throughput ClientToken " + tagged, "ClientToken Encrypted TagSpecification"},
	"DescribeVolumes":               {(*region).describeVolumes, "VolumeId " + filtered, ""},
	"AttachVolume":                  {(*region).attachVolume, "VolumeId InstanceId Device", ""},
	"DetachVolume":                  {(*region).detachVolume, "VolumeId InstanceId Device Force", ""},
	"DeleteVolume":                  {(*region).deleteVolume, "VolumeId", ""},
	"CreateSnapshot":                {(*region).createSnapshot, "VolumeId Description " + tagged, "TagSpecification"},
	"CreateSnapshots":               {(*region).createSnapshots, "InstanceSpecification.InstanceId InstanceSpecification.ExcludeBootVolume Description CopyTagsFromSource " + tagged, "all"},
	"DescribeSnapshots":             {(*region).describeSnapshots, "SnapshotId Owner RestorableBy " + filtered, ""},
	"DeleteSnapshot":                {(*region).deleteSnapshot, "SnapshotId", ""},
	"AllocateAddress":               {(*region).allocateAddress, "Domain " + tagged, "TagSpecification"},
	"AssociateAddress":              {(*region).associateAddress, "AllocationId InstanceId AllowReassociation", ""},
	"DescribeAddresses":             {(*region).describeAddresses, "AllocationId Filter.Name Filter.Value", ""},
	"DisassociateAddress":           {(*region).disassociateAddress, "AssociationId", ""},
	"ReleaseAddress":                {(*region).releaseAddress, "AllocationId", ""},
}

// do does what a call asks for, or what a fault makes of it.
func (f *Fake) do(ctx context.Context, call Call, fault *Fault) (content []element, err error) {
	if fault != nil && !fault.wait(ctx) {
		return nil, ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	defer func() { f.log(call, err) }()
	if fault != nil && !fault.Done && (fault.Cut || fault.Code != "") {
		return nil, fault.refusal(call.Action)
	}
	r := f.regions[call.Region]
	r.settle()
	if content, err = r.act(call); err != nil {
		return nil, err
	}
	r.settle()
	if fault != nil && fault.Done && fault.Code != "" {
		return nil, fault.refusal(call.Action)
	}
	return content, nil
}

// dryRun says whether an action is allowed. What is named must be there, and it is not
// said whether there is room.
func (r *region) dryRun(action string, p params) error {
	if action == "RunInstances" {
		i := &instance{}
		for _, check := range []func(params, *instance) error{r.planImage, r.planUserData, r.planPlace} {
			if err := check(p, i); err != nil && codeOf(err) != "Unsupported" {
				return err
			}
		}
	}
	return refuse("DryRunOperation", "Request would have succeeded, but DryRun flag is set.").status(http.StatusPreconditionFailed)
}

// act finds the action and looks at its parameters, whichever they are.
func (r *region) act(call Call) ([]element, error) {
	compat := r.f.opts.Compat
	if call.Service == "ssm" {
		if call.Action != "GetParameter" || compat {
			return nil, refuse("UnknownOperationException", "this fake does GetParameter alone, not %s", call.Action)
		}
		return r.getParameter(params(call.Params))
	}
	act, ok := actions[call.Action]
	if !ok || compat && act.not == "all" {
		return nil, refuse("InvalidAction", "The action %s is not valid for this web service.", call.Action)
	}
	takes, not := strings.Fields(act.takes), strings.Fields(act.not)
	for name := range call.Params {
		name = plain(name)
		begins := func(prefix string) bool { return name == prefix || strings.HasPrefix(name, prefix+".") }
		if name != "DryRun" && !slices.Contains(takes, name) || compat && (name == "DryRun" || slices.ContainsFunc(not, begins)) {
			return nil, refuse("UnknownParameter", "The parameter %s is not recognized", name)
		}
	}
	p := params(call.Params)
	if p.is("DryRun") {
		return nil, r.dryRun(call.Action, p)
	}
	return act.do(r, p)
}
