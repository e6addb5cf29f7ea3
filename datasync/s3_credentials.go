package datasync

import (
	"bufio"
	"cmp"
	"context"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"popup/internal/git"
)

// s3Keys signs in with what the credentials file holds, or, without one, with what
// the environment does, or as the machine may. All are read at every use, so that they
// can be rotated.
type s3Keys struct {
	file    string
	profile string
	role    *machineRole // nil: the machine's is not used
}

// newS3Keys leaves the machine's role alone where somebody else named what is fetched.
func newS3Keys(file string, guard *httpGuard) (s3Keys, error) {
	k := s3Keys{file: file, profile: os.Getenv("AWS_PROFILE")}
	if k.signsIn() || guard.guarded {
		return k, nil
	}
	var err error
	k.role, err = newMachineRole()
	return k, err
}

func fromEnvironment() bool { return os.Getenv("AWS_ACCESS_KEY_ID") != "" }

// signsIn says whether there is anything to sign in with.
func (k s3Keys) signsIn() bool { return k.file != "" || fromEnvironment() || k.role.known() }

// String says where they are from.
func (k s3Keys) String() string {
	if k.file == "" && !fromEnvironment() && k.role.known() {
		return "the machine's role"
	}
	return cmp.Or(k.file, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
}

// Retrieve is what the SDK calls before it signs.
func (k s3Keys) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if k.file == "" && !fromEnvironment() && k.role != nil {
		return k.role.Retrieve(ctx)
	}
	if k.file == "" {
		return aws.Credentials{AccessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY"),
			SessionToken: os.Getenv("AWS_SESSION_TOKEN")}, nil
	}
	text, err := readCredentials(k.file)
	if err != nil {
		return aws.Credentials{}, err
	}
	keys, ok := parseKeys(text, cmp.Or(k.profile, "default"))
	if !ok {
		return aws.Credentials{}, &git.Error{Class: git.Credentials, Why: "the credentials file holds no access key",
			Hint: "write ACCESS:SECRET into it, or a file like that of the aws command with a section [default]"}
	}
	return keys, nil
}

// parseKeys reads ACCESS:SECRET on one line, or the section of an AWS credentials
// file that profile names; a file without sections is all one.
func parseKeys(text, profile string) (aws.Credentials, bool) {
	text = strings.TrimSpace(text)
	if access, secret, ok := strings.Cut(text, ":"); ok && !strings.Contains(text, "\n") && !strings.ContainsAny(access, "=[") {
		return aws.Credentials{AccessKeyID: access, SecretAccessKey: secret}, access != "" && secret != ""
	}
	keys, here := aws.Credentials{}, true
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if section, ok := strings.CutPrefix(line, "["); ok {
			here = strings.TrimSpace(strings.TrimSuffix(section, "]")) == profile
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok || !here {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "aws_access_key_id":
			keys.AccessKeyID = value
		case "aws_secret_access_key":
			keys.SecretAccessKey = value
		case "aws_session_token":
			keys.SessionToken = value
		}
	}
	return keys, keys.AccessKeyID != "" && keys.SecretAccessKey != ""
}
