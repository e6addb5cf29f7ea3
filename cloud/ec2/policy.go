package ec2

import "encoding/json"

// A grant lets a console do something, on some resources.
type grant struct {
	Sid       string
	Effect    string
	Action    []string
	Resource  []string
	Condition map[string]map[string]any `json:",omitempty"`
}

// Conditions that EC2 holds a request against: that what it makes is marked as a
// console's, and that what it changes is.
var (
	marked = map[string]map[string]any{"Null": {"aws:RequestTag/" + tagConsole: "false"}}
	ours   = map[string]map[string]any{"Null": {"aws:ResourceTag/" + tagConsole: "false"}}
)

// all are the resources of EC2 of some kinds.
func all(kinds ...string) (arns []string) {
	for _, kind := range kinds {
		arns = append(arns, "arn:aws:ec2:*:*:"+kind+"/*")
	}
	return arns
}

// Images and snapshots are of no account in their names, since they can be given to others.
const (
	images    = "arn:aws:ec2:*::image/*"
	snapshots = "arn:aws:ec2:*::snapshot/*"
)

// grants are what a console needs on AWS. A test holds them against what is really called.
func grants() []grant {
	return []grant{
		{Sid: "Look", Resource: []string{"*"}, Action: []string{ // EC2 describes all or nothing
			"ec2:DescribeAddresses", "ec2:DescribeImages", "ec2:DescribeInstanceTypes", "ec2:DescribeInstances", "ec2:DescribeSecurityGroups",
			"ec2:DescribeSnapshots", "ec2:DescribeSubnets", "ec2:DescribeVolumes"}},
		{Sid: "FindPublicImages", Action: []string{"ssm:GetParameter"}, Resource: []string{"arn:aws:ssm:*::parameter/aws/service/*"}},
		{Sid: "LaunchMarked", Action: []string{"ec2:RunInstances"}, Resource: all("instance", "volume"), Condition: marked},
		{Sid: "LaunchFrom", Action: []string{"ec2:RunInstances"}, Resource: append(all("network-interface", "security-group", "spot-instances-request", "subnet"),
			images, snapshots)},
		{Sid: "MakeGroups", Action: []string{"ec2:CreateSecurityGroup"}, Resource: all("security-group"), Condition: marked},
		{Sid: "MakeGroupsIn", Action: []string{"ec2:CreateSecurityGroup"}, Resource: all("vpc")},
		{Sid: "MakeVolumes", Action: []string{"ec2:CreateVolume"}, Resource: all("volume"), Condition: marked},
		{Sid: "MakeVolumesFrom", Action: []string{"ec2:CreateVolume"}, Resource: []string{snapshots}, Condition: ours},
		{Sid: "CopyDisks", Action: []string{"ec2:CreateImage", "ec2:CreateSnapshots"}, Resource: []string{images, snapshots}, Condition: marked},
		{Sid: "CopyDisksOfOurs", Action: []string{"ec2:CreateImage", "ec2:CreateSnapshots"}, Resource: all("instance", "volume"), Condition: ours},
		{Sid: "MarkWhatIsMade", Action: []string{"ec2:CreateTags"}, Resource: append(all("instance", "volume", "security-group"), images, snapshots),
			Condition: map[string]map[string]any{"StringEquals": {"ec2:CreateAction": []string{
				"RunInstances", "CreateSecurityGroup", "CreateVolume", "CreateSnapshots", "CreateImage"}}}},
		{Sid: "MarkOurSnapshots", Action: []string{"ec2:CreateTags"}, Resource: []string{snapshots}, Condition: ours},
		{Sid: "ChangeAndEndOurs", Resource: all("instance", "volume", "security-group", "elastic-ip"), Condition: ours, Action: []string{
			"ec2:AttachVolume", "ec2:AuthorizeSecurityGroupIngress", "ec2:DeleteSecurityGroup", "ec2:DeleteVolume", "ec2:DetachVolume",
			"ec2:ModifyInstanceAttribute", "ec2:ReleaseAddress", "ec2:TerminateInstances"}},
		{Sid: "EndOurCopies", Action: []string{"ec2:DeleteSnapshot", "ec2:DeregisterImage"}, Resource: []string{images, snapshots}, Condition: ours},
	}
}

// Policy is the least IAM policy that a console needs, as JSON. roles are the ARNs of
// those that its machines get by an instance profile.
func Policy(roles ...string) string {
	all := grants()
	if len(roles) > 0 {
		all = append(all, grant{Sid: "GiveRoles", Action: []string{"iam:PassRole"}, Resource: roles,
			Condition: map[string]map[string]any{"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}})
	}
	for i := range all {
		all[i].Effect = "Allow"
	}
	text, err := json.MarshalIndent(struct {
		Version   string
		Statement []grant
	}{"2012-10-17", all}, "", "  ")
	if err != nil {
		panic(err) // it is made of texts alone
	}
	return string(text) + "\n"
}
