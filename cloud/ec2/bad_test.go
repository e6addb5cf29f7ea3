package ec2

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"popup/console"
	"popup/internal/testutil/ec2fake"
	"popup/internal/wire"
)

// Whatever is wrong is said before a launch, and at it, in a sentence that says what to
// try; and nothing of a machine is made.
func TestBadInput(t *testing.T) {
	for _, c := range []struct {
		name    string
		fake    ec2fake.Options
		with    func(*Options)
		spoil   func(*testing.T, *site)
		late    bool // only the launch itself can tell
		refused bool // for good
		want    string
	}{
		{name: "no credentials", spoil: func(t *testing.T, s *site) {
			os.Unsetenv("AWS_ACCESS_KEY_ID")
			s.open()
		}, want: "there are no credentials for AWS: * set AWS_ACCESS_KEY_ID"},
		{name: "wrong credentials", spoil: func(t *testing.T, s *site) { signIn(t, s.fake.AccessKey, "wrong"); s.open() },
			want: "EC2 in us-east-1 does not accept these credentials; check the access key"},
		{name: "keys of a session that is over", spoil: func(t *testing.T, s *site) { s.fake.Expire(s.fake.AccessKey) }, want: "too old; renew the credentials"},
		{name: "a clock that is off", spoil: func(_ *testing.T, s *site) { s.fake.Skew(time.Hour) }, want: "set this machine's clock"},
		{name: "a region that is not there", with: func(o *Options) { o.Regions = []string{"eu-moon-1"} }, want: "eu-moon-1 does not accept * (--ec2-region)"},
		{name: "no such host", with: func(o *Options) { o.Endpoint = "http://ec2.nowhere.invalid" }, want: "check --ec2-region us-east-1, or --ec2-endpoint"},
		{name: "nobody there", with: func(o *Options) { o.Endpoint = "http://127.0.0.1:1" }, want: "did not answer * (connection refused); check the network"},
		{name: "no default VPC", fake: ec2fake.Options{NoDefaultVPC: true}, refused: true, want: "no default VPC in us-east-1; make one * --ec2-subnet"},
		{name: "no such subnet", with: func(o *Options) { o.Subnets = []string{"subnet-0123456789abcdef0"} }, refused: true,
			want: "no subnet subnet-0123456789abcdef0 in us-east-1; correct --ec2-subnet"},
		{name: "no such image", with: func(o *Options) { o.Image = "ami-0123456789abcdef0" }, refused: true, want: "the image is not in us-east-1 (any more); give another --ec2-image"},
		{name: "an image that was withdrawn", spoil: func(_ *testing.T, s *site) { s.fake.RemoveImage("us-east-1", s.fake.Image("", "debian-13", "arm64")) },
			refused: true, want: "the image is not in us-east-1 (any more)"},
		{name: "no such parameter", with: func(o *Options) { o.Image = "/my/image" }, refused: true, want: "SSM in us-east-1 has no parameter for this image"},
		{name: "a parameter that is no image", with: func(o *Options) { o.Image = "/my/image" }, refused: true,
			spoil: func(_ *testing.T, s *site) { s.fake.SetParameter("us-east-1", "/my/image", "moon") }, want: `holds "moon", which is no image`},
		{name: "an image for another architecture", with: func(o *Options) { o.Types = []string{"t3.small"} }, refused: true,
			spoil: func(_ *testing.T, s *site) { s.opts.Image = s.fake.Image("", "debian-13", "arm64") }, want: "is for arm64, and no type of machine is; give an --ec2-type"},
		{name: "no such type", with: func(o *Options) { o.Types = []string{"t9.small"} }, refused: true, want: "t9.small"},
		{name: "a type that a zone has not got", late: true, refused: true, spoil: func(_ *testing.T, s *site) { s.fake.Unoffer(s.fake.Zones("")[0], "t4g.small") },
			want: "does not offer this type of machine in this zone of us-east-1; give another --ec2-type"},
		{name: "no room", late: true, refused: true, spoil: func(_ *testing.T, s *site) { s.fake.Full(s.fake.Zones("")[0], true) }, want: "no such machine left in this zone of us-east-1"},
		{name: "the account's limit", late: true, refused: true, spoil: func(_ *testing.T, s *site) { s.fake.Quota("us-east-1", 1) },
			want: "may have no more machines in us-east-1; end some, ask AWS for more"},
		{name: "the limit of spot machines", late: true, refused: true, with: func(o *Options) { o.Spot = true },
			spoil: func(_ *testing.T, s *site) { s.fake.SpotQuota("us-east-1", 1) }, want: "may have no more machines in us-east-1"},
		{name: "not allowed", refused: true, spoil: func(_ *testing.T, s *site) { s.fake.Deny("RunInstances") }, want: "may not RunInstances in us-east-1; allow it: popup console iam-policy"},
		{name: "not allowed to look", refused: true, spoil: func(_ *testing.T, s *site) { s.fake.Deny("DescribeSubnets") }, want: "may not DescribeSubnets in us-east-1"},
		{name: "not allowed to read SSM", refused: true, spoil: func(_ *testing.T, s *site) { s.fake.Deny("GetParameter") }, want: "may not GetParameter in us-east-1"},
		{name: "no such instance profile", late: true, refused: true, with: func(o *Options) { o.InstanceProfile = "moon" },
			want: "Value (moon) for parameter iamInstanceProfile.name is invalid * correct --ec2-instance-profile"},
		{name: "something new", refused: true, spoil: func(_ *testing.T, s *site) { s.fake.Fail("RunInstances", -1, "Unheard", "of this.", 400) },
			want: "EC2 in us-east-1 answered RunInstances with Unheard: of this."},
	} {
		t.Run(c.name, func(t *testing.T) {
			with := c.with
			if with == nil {
				with = func(*Options) {}
			}
			s := newSiteOn(t, ec2fake.New(t, c.fake), with)
			if c.spoil != nil {
				c.spoil(t, s)
			}
			if err := s.Check(t.Context(), s.ask("one")); (err == nil) != c.late || err != nil && !says(err, c.want) {
				t.Errorf("looked at before: %v; want %q", err, c.want)
			}
			_, err := s.Launch(t.Context(), s.ask("one"))
			if err == nil || !says(err, c.want) || strings.Contains(err.Error(), "operation error") {
				t.Errorf("launched: %v; want %q", err, c.want)
			}
			if _, refused := errors.AsType[*console.RefusedError](err); refused != c.refused {
				t.Errorf("refused for good: %t; want %t: %v", refused, c.refused, err)
			}
			if all := s.fake.Instances(); len(all) > 0 {
				t.Errorf("made was %+v", all)
			}
		})
	}
}

// says says whether an error has all parts of a sentence, which * parts.
func says(err error, sentence string) bool {
	text := err.Error()
	for part := range strings.SplitSeq(sentence, "*") {
		_, after, ok := strings.Cut(text, strings.TrimSpace(part))
		if !ok {
			return false
		}
		text = after
	}
	return true
}

// What an app needs and the type has not got is said with the length of its user-data.
func TestCheckTellsAll(t *testing.T) {
	s := newSite(t, AWS)
	l := s.ask("one")
	l.CPUs = 3.5
	if err := s.Check(t.Context(), l); err == nil || !says(err, "a t4g.small has 2 processors, and this app needs 3.5; give a larger --ec2-type") {
		t.Error(err)
	}
	l.CPUs, l.Architectures = 2, []string{"riscv64"}
	if err := s.Check(t.Context(), l); err == nil || !says(err, "runs on riscv64, and no type of machine is") {
		t.Error(err)
	}
	if calls := s.called("RunInstances") + s.called("CreateSecurityGroup"); calls > 0 {
		t.Errorf("asked for, and not only looked at, by %d calls", calls)
	}
}

func TestLaunchRefusesWhatIsNoLaunch(t *testing.T) {
	s := newSite(t, AWS)
	for name, change := range map[string]func(*console.Launch){
		"names none": func(l *console.Launch) { l.EventID = "" }, "an instance's id": func(l *console.Launch) { l.Instance = "a/b" },
		"refused 100 times": func(l *console.Launch) { l.Attempt = 100 }, "no volume vol-1": func(l *console.Launch) { l.Volume = "vol-1" },
		"is not in us-east-1": func(l *console.Launch) { l.Image = "ami-0123456789abcdef0" },
	} {
		l := s.ask("one")
		change(&l)
		if _, err := s.Launch(t.Context(), l); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestValidate(t *testing.T) {
	for name, c := range map[string]struct {
		opts Options
		want []string // parts of the problems, each on a line; none: it is fine
	}{
		"least":  {Options{Console: "c"}, nil},
		"path":   {Options{Console: "c", Image: "/my/parameter"}, nil},
		"types":  {Options{Console: "c", Types: []string{"m7i.large", "c7gn.large"}}, nil},
		"compat": {Options{Console: "c", Profile: Compat, Image: "emi-0123ABCD", Types: []string{"m1.small"}}, nil},
		"all": {Options{Console: "a b", Profile: "azure", Regions: []string{"Frankfurt"}, Endpoint: "ec2.example.org", Image: "windows", Types: []string{"large"},
			Subnets: []string{"net-1"}, RootGiB: -1},
			[]string{"no profile", `not "a b"`, `"Frankfurt" is no region`, "--ec2-endpoint", `"windows" is no image`, `"large" is no type`, `"net-1" is no subnet`, "--ec2-root"}},
		"empty compat":  {Options{Console: "c", Profile: Compat}, []string{"--ec2-image must be", "Give --ec2-type"}},
		"spot, compat":  {Options{Console: "c", Profile: Compat, Image: "emi-01", Types: []string{"m1.small"}, Spot: true}, []string{"leave --ec2-spot out"}},
		"name, compat":  {Options{Console: "c", Profile: Compat, Image: "debian13", Types: []string{"m1.small"}}, []string{"no public images"}},
		"one too many":  {Options{Console: "c", Types: []string{"t3.small", "t2.micro"}}, []string{"t3.small and t2.micro are both amd64"}},
		"id in regions": {Options{Console: "c", Image: "ami-01", Regions: []string{"us-east-1", "us-west-2"}}, []string{"in one region alone"}},
		"user":          {Options{Console: "c", Endpoint: "https://a:b@example.org"}, []string{"--ec2-endpoint"}},
	} {
		err := c.opts.Validate()
		if (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err == nil {
			continue
		}
		lines := strings.Split(err.Error(), "\n")
		if len(lines) != len(c.want) {
			t.Errorf("%s: %d problems, want %d: %v", name, len(lines), len(c.want), err)
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v; want %q", name, err, want)
			}
		}
	}
}

func TestArchOf(t *testing.T) {
	for machine, want := range map[string]string{"t4g.small": "arm64", "a1.large": "arm64", "c7gn.medium": "arm64", "x2gd.large": "arm64", "im4gn.large": "arm64",
		"t3.small": "amd64", "g4dn.xlarge": "amd64", "g5.xlarge": "amd64", "m1.small": "amd64", "u-6tb1.metal": "amd64", "g5g.xlarge": "arm64", "m8g.large": "arm64"} {
		if got := archOf(machine); got != want {
			t.Errorf("%s is %s, want %s", machine, got, want)
		}
	}
}

func TestOpen(t *testing.T) {
	signIn(t, "key", "secret")
	if _, err := Open(t.Context(), Options{Console: "c"}); err == nil || !strings.Contains(err.Error(), "--ec2-region") {
		t.Errorf("without a region: %v", err)
	}
	t.Setenv("AWS_REGION", "eu-central-1")
	c, err := Open(t.Context(), Options{Console: "c", HTTP: &http.Client{Transport: roundTripper(nil)}})
	if _, vouches := c.(console.Identifier); err != nil || vouches {
		t.Errorf("opened is %T, %v", c, err)
	}
	c, err = Open(t.Context(), Options{Console: "c", Identify: func(p wire.Identity) (string, error) { return string(p.Document), errors.ErrUnsupported }})
	identifier, vouches := c.(console.Identifier)
	if err != nil || !vouches {
		t.Fatalf("opened is %T, %v", c, err)
	}
	if m, err := identifier.Identify(context.Background(), wire.Identity{Document: []byte("i-1")}); m != "i-1" || err != errors.ErrUnsupported {
		t.Errorf("identified is %q, %v", m, err)
	}
	if _, err := Open(t.Context(), Options{}); err == nil {
		t.Error("opened for no console")
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
