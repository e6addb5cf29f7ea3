package ec2fake

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go"
)

// keys are credentials.
func keys(access, secret, token string) aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: access, SecretAccessKey: secret, SessionToken: token}, nil
	})
}

// inOne sends each request in one piece. The SDK closes a request's body as soon as it
// has the answer's head; net/http, where it sends the body apart, may ask it for more
// after that, takes what it is told for a failure, and ends the connection in the middle
// of the answer. Programs ask again then, as the SDK does by itself; these tests ask once.
type inOne struct{}

func (inOne) Do(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return http.DefaultClient.Do(r)
}

// client speaks to the fake as programs speak to EC2, and asks once.
func client(f *Fake, region string) *ec2.Client {
	return ec2.New(ec2.Options{BaseEndpoint: &f.URL, Region: region, Credentials: keys(f.AccessKey, f.SecretKey, ""), Retryer: aws.NopRetryer{}, HTTPClient: inOne{}})
}

func ssmClient(f *Fake, region string) *ssm.Client {
	return ssm.New(ssm.Options{BaseEndpoint: &f.URL, Region: region, Credentials: keys(f.AccessKey, f.SecretKey, ""), Retryer: aws.NopRetryer{}, HTTPClient: inOne{}})
}

// code is the code of an API's error; empty: it is none.
func code(err error) string {
	var refused smithy.APIError
	if errors.As(err, &refused) {
		return refused.ErrorCode()
	}
	return ""
}

func wantCode(t *testing.T, err error, want string) {
	t.Helper()
	if code(err) != want {
		t.Fatalf("got %v, want %s", err, want)
	}
}

// must is the answer to a call that goes well.
func must[T any](t *testing.T) func(T, error) T {
	return func(out T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

// ask asks for an instance.
func ask(f *Fake, change ...func(*ec2.RunInstancesInput)) *ec2.RunInstancesInput {
	in := &ec2.RunInstancesInput{ImageId: aws.String(f.Image("", "debian-12", "arm64")), InstanceType: types.InstanceTypeT4gSmall, MinCount: aws.Int32(1), MaxCount: aws.Int32(1)}
	if f.opts.Compat {
		in.ImageId, in.InstanceType = aws.String(f.Image("", "debian-12", "x86_64")), types.InstanceTypeM1Small
	}
	for _, one := range change {
		one(in)
	}
	return in
}

// launch launches an instance.
func launch(t *testing.T, f *Fake, change ...func(*ec2.RunInstancesInput)) types.Instance {
	t.Helper()
	return must[*ec2.RunInstancesOutput](t)(client(f, f.Regions()[0]).RunInstances(t.Context(), ask(f, change...))).Instances[0]
}

// become waits until an instance is in a state.
func become(t *testing.T, f *Fake, id string, want types.InstanceStateName) types.Instance {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		out, err := client(f, f.Regions()[0]).DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{id}})
		if err != nil {
			t.Fatal(err)
		}
		i := out.Reservations[0].Instances[0]
		if i.State.Name == want {
			return i
		}
		if time.Now().After(deadline) {
			t.Fatalf("it is %s, not %s", i.State.Name, want)
		}
	}
}

func TestAMachineIsLaunchedOnceAndEnds(t *testing.T) {
	f := New(t, Options{})
	c := client(f, "us-east-1")
	data := []byte("#!/bin/sh\necho \"fair & <square>\"\n")
	asked := func(in *ec2.RunInstancesInput) {
		in.ClientToken = aws.String("one")
		in.UserData = aws.String(base64.StdEncoding.EncodeToString(data))
		in.TagSpecifications = []types.TagSpecification{{ResourceType: types.ResourceTypeInstance, Tags: []types.Tag{{Key: aws.String("Name"), Value: aws.String("a <b> & c")}}}}
		in.InstanceInitiatedShutdownBehavior = types.ShutdownBehaviorTerminate
		in.MetadataOptions = &types.InstanceMetadataOptionsRequest{HttpTokens: types.HttpTokensStateRequired, HttpPutResponseHopLimit: aws.Int32(1)}
	}
	i := launch(t, f, asked)
	if i.State.Name != types.InstanceStateNamePending || aws.ToString(i.Tags[0].Value) != "a <b> & c" || aws.ToString(i.ClientToken) != "one" {
		t.Fatalf("launched %+v", i)
	}
	if again := launch(t, f, asked); aws.ToString(again.InstanceId) != aws.ToString(i.InstanceId) {
		t.Fatal("the same token launched another machine")
	}
	_, err := c.RunInstances(t.Context(), ask(f, asked, func(in *ec2.RunInstancesInput) { in.InstanceType = types.InstanceTypeT4gMicro }))
	wantCode(t, err, "IdempotentParameterMismatch")
	running := become(t, f, *i.InstanceId, types.InstanceStateNameRunning)
	if aws.ToString(running.PublicDnsName) == "" || running.MetadataOptions.HttpTokens != types.HttpTokensStateRequired || len(running.BlockDeviceMappings) != 1 {
		t.Fatalf("runs as %+v", running)
	}
	if seen := f.Instances(); len(seen) != 1 || !slices.Equal(seen[0].UserData, data) {
		t.Fatalf("there is %+v", seen)
	}
	f.PowerOff(*i.InstanceId)
	gone := become(t, f, *i.InstanceId, types.InstanceStateNameTerminated)
	if aws.ToString(gone.StateReason.Code) != "Client.InstanceInitiatedShutdown" || len(gone.BlockDeviceMappings) != 0 {
		t.Fatalf("ended as %+v", gone)
	}
	if again := launch(t, f, asked); aws.ToString(again.InstanceId) != aws.ToString(i.InstanceId) || again.State.Name != types.InstanceStateNameTerminated {
		t.Fatal("a token of a machine that ended launched another")
	}
	if left := f.Left(); len(left) != 0 {
		t.Fatalf("left are %q", left)
	}
}

func TestSignaturesAreChecked(t *testing.T) {
	f := New(t, Options{})
	describe := func(region string, with aws.CredentialsProvider) error {
		c := ec2.New(ec2.Options{BaseEndpoint: &f.URL, Region: region, Credentials: with, Retryer: aws.NopRetryer{}, HTTPClient: inOne{}})
		_, err := c.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{})
		return err
	}
	access, secret, token := f.Temporary()
	for _, good := range []aws.CredentialsProvider{keys(f.AccessKey, f.SecretKey, ""), keys(access, secret, token)} {
		if err := describe("us-east-1", good); err != nil {
			t.Fatal(err)
		}
	}
	wantCode(t, describe("us-east-1", keys("AKIANOBODY", f.SecretKey, "")), "AuthFailure")
	wantCode(t, describe("us-east-1", keys(f.AccessKey, "wrong", "")), "SignatureDoesNotMatch")
	wantCode(t, describe("us-east-1", keys(access, secret, "")), "AuthFailure")
	wantCode(t, describe("us-east-1", keys(access, secret, token+"x")), "AuthFailure")
	wantCode(t, describe("mars-north-1", keys(f.AccessKey, f.SecretKey, "")), "AuthFailure")
	f.Expire(access)
	wantCode(t, describe("us-east-1", keys(access, secret, token)), "RequestExpired")
	f.Skew(6 * time.Minute)
	wantCode(t, describe("us-east-1", keys(f.AccessKey, f.SecretKey, "")), "RequestExpired")
	if calls := f.Calls(); len(calls) != 2 {
		t.Fatalf("%d calls were let in", len(calls))
	}
	_, err := ssm.New(ssm.Options{BaseEndpoint: &f.URL, Region: "us-east-1", Credentials: keys("AKIANOBODY", "x", ""), Retryer: aws.NopRetryer{}}).
		GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("/x")})
	wantCode(t, err, "UnrecognizedClientException")
}

func TestImagesAreFoundByParameter(t *testing.T) {
	f := New(t, Options{})
	for _, region := range f.Regions() {
		c := ssmClient(f, region)
		for _, name := range f.Parameters(region) {
			out := must[*ssm.GetParameterOutput](t)(c.GetParameter(t.Context(), &ssm.GetParameterInput{Name: &name}))
			if !strings.HasPrefix(aws.ToString(out.Parameter.Value), "ami-") {
				t.Errorf("%s is %q", name, aws.ToString(out.Parameter.Value))
			}
			images := must[*ec2.DescribeImagesOutput](t)(client(f, region).DescribeImages(t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{*out.Parameter.Value}}))
			if len(images.Images) != 1 || images.Images[0].State != types.ImageStateAvailable {
				t.Errorf("%s leads to %+v", name, images.Images)
			}
		}
		_, err := c.GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("/nowhere")})
		wantCode(t, err, "ParameterNotFound")
	}
}
