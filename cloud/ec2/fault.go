package ec2

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"popup/console"
)

// A fault says in a sentence what came of an action, and what to try.
type fault struct {
	action, region string
	code           string // EC2's; empty: it did not answer
	status         int    // of the answer
	why            string
	err            error
}

func (f *fault) Error() string { return f.why }
func (f *fault) Unwrap() error { return f.err }

var errNoKeys = errors.New("no credentials")

// codeOf is EC2's code of an error; empty: it has none.
func codeOf(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

// is says whether EC2 answered with one of the codes.
func is(err error, codes ...string) bool {
	code := codeOf(err)
	for _, c := range codes {
		if code == c {
			return code != ""
		}
	}
	return false
}

// A lesson is what a code means to whoever started the console.
type lesson struct {
	why string // ACTION and REGION are put in; what EC2 said besides follows where it ends with a colon
	// refused says that nothing was made, whatever the status is, and that the same is
	// not worth asking again at once.
	refused bool
	// elsewhere says that another zone may have it, account that another region may.
	elsewhere, account bool
}

const (
	wrongKeys = "EC2 in REGION does not accept these credentials; check the access key, or AWS_PROFILE, and whether the account uses the region (--ec2-region)"
	oldKeys   = "EC2 in REGION says that the request is too old; renew the credentials, and set this machine's clock, by NTP"
	forbidden = "these credentials may not ACTION in REGION; allow it: popup console iam-policy prints what is needed"
	noRoom    = "EC2 has no such machine left in this zone of REGION; another zone (--ec2-subnet), another --ec2-type, or later"
	limit     = "the account may have no more machines in REGION; end some, ask AWS for more under Service Quotas, or give another --ec2-region"
	noImage   = "the image is not in REGION (any more); give another --ec2-image"
	noVPC     = "the account has no default VPC in REGION; make one (aws ec2 create-default-vpc), or name subnets with --ec2-subnet"
	comeLess  = "EC2 in REGION asks us to come less often; it is tried again later"
	noSubnet  = "a subnet is not in REGION (any more); correct --ec2-subnet"
	noType    = "EC2 does not offer this type of machine in this zone of REGION; give another --ec2-type, or --ec2-subnet of another zone"
)

// lessons are the codes that have a sentence of their own.
var lessons = map[string]lesson{
	"AuthFailure": {why: wrongKeys}, "InvalidClientTokenId": {why: wrongKeys}, "SignatureDoesNotMatch": {why: wrongKeys},
	"UnrecognizedClientException": {why: wrongKeys}, "InvalidSignatureException": {why: wrongKeys}, "InvalidAccessKeyId": {why: wrongKeys},
	"MissingAuthenticationToken": {why: wrongKeys}, "OptInRequired": {why: wrongKeys},
	"RequestExpired": {why: oldKeys}, "ExpiredToken": {why: oldKeys}, "ExpiredTokenException": {why: oldKeys},
	"UnauthorizedOperation": {why: forbidden, refused: true}, "AccessDenied": {why: forbidden, refused: true}, "AccessDeniedException": {why: forbidden, refused: true},
	"RequestLimitExceeded": {why: comeLess}, "Throttling": {why: comeLess}, "ThrottlingException": {why: comeLess}, "EC2ThrottledException": {why: comeLess},
	"InsufficientInstanceCapacity": {why: noRoom, refused: true, elsewhere: true}, "InsufficientHostCapacity": {why: noRoom, refused: true, elsewhere: true},
	"InsufficientCapacity": {why: noRoom, refused: true, elsewhere: true}, "UnfulfillableCapacity": {why: noRoom, refused: true, elsewhere: true},
	"SpotMaxPriceTooLow": {why: noRoom, refused: true, elsewhere: true}, "Unsupported": {why: noType, refused: true, elsewhere: true},
	"InsufficientFreeAddressesInSubnet": {why: "a subnet in REGION has no address left; add another --ec2-subnet, or end machines in it", refused: true, elsewhere: true},
	"InstanceLimitExceeded":             {why: limit, refused: true, account: true}, "VcpuLimitExceeded": {why: limit, refused: true, account: true},
	"MaxSpotInstanceCountExceeded": {why: limit, refused: true, account: true},
	"VolumeLimitExceeded":          {why: "the account may have no more volumes in REGION; remove some, or ask AWS for more under Service Quotas", refused: true, account: true},
	"SecurityGroupLimitExceeded":   {why: "the account may have no more security groups in REGION; remove some, or ask AWS for more under Service Quotas", refused: true, account: true},
	"InvalidAMIID.NotFound":        {why: noImage, refused: true}, "InvalidAMIID.Malformed": {why: noImage, refused: true}, "InvalidAMIID.Unavailable": {why: noImage, refused: true},
	"ParameterNotFound":        {why: "SSM in REGION has no parameter for this image; give another --ec2-image, or the id of one", refused: true},
	"InvalidSubnetID.NotFound": {why: noSubnet, refused: true}, "InvalidSubnetID.Malformed": {why: noSubnet, refused: true},
	"VPCIdNotSpecified": {why: noVPC, refused: true}, "MissingInput": {why: noVPC, refused: true},
	"InvalidInstanceType":          {why: "EC2 in REGION knows no such type of machine; correct --ec2-type:", refused: true},
	"IdempotentInstanceTerminated": {why: "its machine was launched before, and has ended already; another one is launched", refused: true, elsewhere: true},
	"UnknownParameter":             {why: "EC2 in REGION does not know a parameter of ACTION; start the console with --ec2-profile compat:", refused: true},
}

// flags are those that set a parameter of EC2's, by what EC2 calls it.
var flags = map[string]string{"iamInstanceProfile": "--ec2-instance-profile", "InstanceType": "--ec2-type"}

// fault makes a sentence of what the SDK says.
func (r *region) fault(ctx context.Context, action string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s in %s: %w", action, r.name, context.Cause(ctx))
	}
	f := &fault{action: action, region: r.name, code: codeOf(err), err: err}
	if answer, ok := errors.AsType[*smithyhttp.ResponseError](err); ok && answer.Response != nil {
		f.status = answer.HTTPStatusCode()
	}
	said := ""
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		said = api.ErrorMessage()
	}
	noHost, _ := errors.AsType[*net.DNSError](err)
	switch l, ok := lessons[f.code]; {
	case ok:
		f.why = strings.NewReplacer("ACTION", action, "REGION", r.name).Replace(l.why)
		if strings.HasSuffix(f.why, ":") {
			f.why += " " + said
		}
	case errors.Is(err, errNoKeys):
		f.why = "there are no credentials for AWS: " + lastWord(err) + "; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give this machine a role"
	case f.code != "":
		f.why = fmt.Sprintf("EC2 in %s answered %s with %s: %s", r.name, action, f.code, said)
		for parameter, flag := range flags {
			if strings.Contains(said, parameter) {
				f.why = strings.TrimSuffix(f.why, ".") + "; correct " + flag
			}
		}
	case noHost != nil && noHost.IsNotFound:
		f.why = fmt.Sprintf("there is no EC2 at %s; check --ec2-region %s, or --ec2-endpoint", noHost.Name, r.name)
	default:
		f.why = fmt.Sprintf("EC2 in %s did not answer %s (%s); check the network, and --ec2-endpoint", r.name, action, lastWord(err))
	}
	return f
}

// lastWord is the innermost of an error's reasons: what surrounds it is of the SDK's build.
func lastWord(err error) string {
	for {
		switch e := err.(type) {
		case interface{ Unwrap() error }:
			err = e.Unwrap()
		case interface{ Unwrap() []error }:
			all := e.Unwrap()
			err = all[len(all)-1]
		default:
			return err.Error()
		}
	}
}

// refusal is err as what Launch says of it: that nothing was made, where that is so.
func (c *Cloud) refusal(err error) error {
	f, ok := errors.AsType[*fault](err)
	if !ok || f.code == "" {
		return err
	}
	l := lessons[f.code]
	if l.refused {
		return &console.RefusedError{Reason: f.why, Elsewhere: l.elsewhere || l.account && len(c.regions) > 1}
	}
	throttled := retry.ThrottleErrorCode{Codes: retry.DefaultThrottleErrorCodes}.IsErrorThrottle(f.err).Bool()
	if l.why != "" || throttled || f.status < http.StatusBadRequest || f.status >= http.StatusInternalServerError ||
		is(err, "IdempotentParameterMismatch", "RequestTimeout") || strings.HasSuffix(f.code, ".NotFound") {
		return err
	}
	return &console.RefusedError{Reason: f.why}
}
