package ec2fake

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func TestFaultsComeWhereTheyWereToldTo(t *testing.T) {
	f := New(t, Options{})
	c := client(f, "us-east-1")
	run := func() error {
		_, err := c.RunInstances(t.Context(), ask(f))
		return err
	}
	f.Throttle("RunInstances", 2)
	wantCode(t, run(), "RequestLimitExceeded")
	wantCode(t, run(), "RequestLimitExceeded")
	if err := run(); err != nil {
		t.Fatal(err)
	}
	f.Lose("RunInstances", 1)
	if err := run(); err == nil || code(err) != "" || len(f.Instances()) != 2 {
		t.Fatalf("a lost answer is %v, of %d machines", err, len(f.Instances()))
	}
	f.Inject(Fault{Action: "RunInstances", Cut: true})
	if err := run(); err == nil || len(f.Instances()) != 2 {
		t.Fatalf("a cut request is %v, of %d machines", err, len(f.Instances()))
	}
	f.Inject(Fault{Action: "RunInstances", Code: "InternalError", Message: "oh", Status: 500, Done: true, Skip: 1})
	if err := run(); err != nil {
		t.Fatal(err)
	}
	wantCode(t, run(), "InternalError")
	if n := len(f.Instances()); n != 4 {
		t.Fatalf("there are %d machines, want 4", n)
	}
	f.Inject(Fault{Action: "RunInstances", Region: "eu-central-1", Code: "Elsewhere"})
	if err := run(); err != nil {
		t.Fatal(err)
	}
	f.Inject(Fault{Delay: time.Minute})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{}); ctx.Err() == nil {
		t.Fatalf("a slow answer came: %v", err)
	}
}

// TestLag: what was made is not known at once, but its token is.
func TestLag(t *testing.T) {
	f := New(t, Options{})
	c := client(f, "us-east-1")
	f.Lag(time.Hour)
	token := func(i *ec2.RunInstancesInput) { i.ClientToken = aws.String("t") }
	i := launch(t, f, token)
	if again := launch(t, f, token); *again.InstanceId != *i.InstanceId {
		t.Fatal("launched twice")
	}
	_, err := c.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{*i.InstanceId}})
	wantCode(t, err, "InvalidInstanceID.NotFound")
	_, err = c.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{*i.InstanceId}})
	wantCode(t, err, "InvalidInstanceID.NotFound")
	_, err = c.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: []string{*i.InstanceId}, Tags: marked("", "a")[0].Tags})
	wantCode(t, err, "InvalidInstanceID.NotFound")
	if out := must[*ec2.DescribeInstancesOutput](t)(c.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{})); len(out.Reservations) != 0 {
		t.Fatal("described at once")
	}
	if len(f.Left()) != 2 {
		t.Fatalf("left are %q", f.Left())
	}
	f.Advance(time.Hour)
	become(t, f, *i.InstanceId, types.InstanceStateNameRunning)
}

// TestATokenIsAZones, where the zone is asked for, as EC2 has it: the same token in
// another zone is another machine.
func TestATokenIsAZones(t *testing.T) {
	f := New(t, Options{})
	in := func(zone int) func(*ec2.RunInstancesInput) {
		return func(i *ec2.RunInstancesInput) {
			i.ClientToken, i.Placement = aws.String("t"), &types.Placement{AvailabilityZone: &f.Zones("")[zone]}
		}
	}
	_, subnets := f.AddVPC("")
	of := func(zone int) func(*ec2.RunInstancesInput) {
		return func(i *ec2.RunInstancesInput) { i.ClientToken, i.SubnetId = aws.String("s"), &subnets[zone] }
	}
	for name, in := range map[string]func(int) func(*ec2.RunInstancesInput){"zone": in, "subnet": of} {
		if a, again, b := launch(t, f, in(0)), launch(t, f, in(0)), launch(t, f, in(1)); *a.InstanceId != *again.InstanceId || *a.InstanceId == *b.InstanceId {
			t.Fatalf("by its %s launched %s, %s and in another zone %s", name, *a.InstanceId, *again.InstanceId, *b.InstanceId)
		}
	}
}

func TestInstancesAreToldInPages(t *testing.T) {
	f := New(t, Options{})
	c := client(f, "us-east-1")
	for n := range 13 {
		launch(t, f, func(i *ec2.RunInstancesInput) { i.TagSpecifications = marked("instance", fmt.Sprint("n", n%2)) })
	}
	seen := map[string]bool{}
	in := &ec2.DescribeInstancesInput{MaxResults: aws.Int32(5), Filters: []types.Filter{{Name: aws.String("tag-key"), Values: []string{"n?"}}}}
	for pages := 1; ; pages++ {
		out := must[*ec2.DescribeInstancesOutput](t)(c.DescribeInstances(t.Context(), in))
		if len(out.Reservations) > 5 {
			t.Fatalf("a page has %d", len(out.Reservations))
		}
		for _, r := range out.Reservations {
			seen[*r.Instances[0].InstanceId] = true
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			if pages != 3 || len(seen) != 13 {
				t.Fatalf("%d instances in %d pages", len(seen), pages)
			}
			break
		}
	}
	_, err := c.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{MaxResults: aws.Int32(4)})
	wantCode(t, err, "InvalidParameterValue")
	_, err = c.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{Filters: []types.Filter{{Name: aws.String("colour"), Values: []string{"red"}}}})
	wantCode(t, err, "InvalidParameterValue")
	_, err = c.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{Filters: []types.Filter{{Name: aws.String("client-token"), Values: make([]string, 201)}}})
	wantCode(t, err, "FilterLimitExceeded")
	odd := must[*ec2.DescribeInstancesOutput](t)(c.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{Filters: []types.Filter{{Name: aws.String("tag:n1"), Values: []string{"of *"}}}}))
	if len(odd.Reservations) != 6 {
		t.Fatalf("%d have the tag, want 6", len(odd.Reservations))
	}
}

func TestEndsHaveReasons(t *testing.T) {
	f := New(t, Options{})
	c := client(f, "us-east-1")
	taken := launch(t, f, spot)
	become(t, f, *taken.InstanceId, types.InstanceStateNameRunning)
	f.Interrupt(*taken.InstanceId)
	if gone := become(t, f, *taken.InstanceId, types.InstanceStateNameTerminated); *gone.StateReason.Code != "Server.SpotInstanceTermination" || gone.InstanceLifecycle != "spot" {
		t.Fatalf("it ended as %+v", gone)
	}
	kept := launch(t, f, func(i *ec2.RunInstancesInput) { i.DisableApiTermination = aws.Bool(true) })
	end := func() error {
		_, err := c.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{*kept.InstanceId}})
		return err
	}
	become(t, f, *kept.InstanceId, types.InstanceStateNameRunning)
	wantCode(t, end(), "OperationNotPermitted")
	f.PowerOff(*kept.InstanceId)
	become(t, f, *kept.InstanceId, types.InstanceStateNameStopped)
	if _, err := c.ModifyInstanceAttribute(t.Context(), &ec2.ModifyInstanceAttributeInput{InstanceId: kept.InstanceId, DisableApiTermination: &types.AttributeBooleanValue{Value: aws.Bool(false)}}); err != nil {
		t.Fatal(err)
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
	become(t, f, *kept.InstanceId, types.InstanceStateNameTerminated)
	if left := f.Left(); len(left) != 0 {
		t.Fatalf("left are %q", left)
	}
}
