package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"popup/apps"
	"popup/console/catalogue"
	"popup/internal/guard"
	"popup/internal/wire"
	"popup/userdata"
)

func TestLaunchPlans(t *testing.T) {
	c := newConsole(t)
	r := LaunchRequest{Event: EventRequest{Title: "Fête de l'Été", End: "2026-05-31", Zone: "Europe/Berlin"}, Apps: []AppRequest{
		{App: "tally", Title: "Who comes", Count: 2, Settings: map[string]string{"TITLE": "It's \"on\"\n$(reboot)", "SEATS": "12", "PASSWORD": "hush-hush"}},
	}}
	r.Event.End = "2026-05-08"
	v, err := c.Preview(t.Context(), anOwner, r)
	if err != nil {
		t.Fatal(err)
	}
	if v.Button != "Launch until 8 May" || v.Count != 2 || !v.New || v.Event.Name != "fete-de-l-ete" || v.Cloud != "local" {
		t.Errorf("the preview is %+v", v)
	}
	if _, err := c.Event(t.Context(), anOwner, "fete-de-l-ete"); !errors.Is(err, ErrNotFound) {
		t.Errorf("looking at it made it: %v", err)
	}
	o, err := c.Launch(t.Context(), anOwner, r, "")
	if err != nil {
		t.Fatal(err)
	}
	all, err := c.Deployments(t.Context(), anOwner, o.Event)
	if err != nil || len(all) != 1 {
		t.Fatalf("%v, %v", all, err)
	}
	d := all[0]
	if d.Title != "Who comes" || d.Plan.Fleet != 2 || d.Plan.Settings != nil || d.Plan.State.Vault != "" || d.Settings["SEATS"] != "12" || d.SecretNames[0] != "PASSWORD" {
		t.Errorf("the deployment is %+v", d)
	}
	text, err := json.Marshal(d)
	if err != nil || bytes.Contains(text, []byte("hush")) {
		t.Error("the secret is in the store as it is")
	}
	if secrets, err := c.openSecrets(d); err != nil || secrets["PASSWORD"] != "hush-hush" {
		t.Errorf("opened: %v, %v", secrets, err)
	}
	if len(o.Instances) != 2 || o.Instances[1] != fmt.Sprintf("fete-de-l-ete-%s-2", d.ID) {
		t.Errorf("its instances are %v", o.Instances)
	}
	for _, id := range o.Instances {
		if err := wire.CheckInstance(id); err != nil {
			t.Error(err)
		}
	}
}

// TestUserDataIsTheSameAgain: after a kill an instance is asked for with the same bytes,
// and they hold a token that only the console can make, and no setting.
func TestUserDataIsTheSameAgain(t *testing.T) {
	l := newLiving(t)
	r := fair(AppRequest{App: "tally", Settings: map[string]string{"TITLE": "Who comes", "PASSWORD": "hush"}})
	r.Event.End = "5d"
	_, all := l.launched(t, r)
	sent := l.cloud.launches[0]
	s, err := l.turnInstance(t.Context(), all[0].ID, func(s *subject) { s.State, s.Due = InstanceLaunching, l.now() })
	if err != nil {
		t.Fatal(err)
	}
	l.settle(t)
	if again := l.cloud.launches[1]; !bytes.Equal(sent.UserData, again.UserData) || len(l.cloud.instances()) != 1 {
		t.Errorf("asked again it is another: %s\n%s", sent.UserData, again.UserData)
	}
	plan, err := userdata.Read(sent.UserData)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(hashOfToken(plan.Console.Token), s.TokenHash) || plan.Instance != s.ID || plan.End.At != s.event.End || !plan.End.PowerOff || plan.Settings != nil {
		t.Errorf("the plan is %+v", plan)
	}
	if stored := fmt.Sprintf("%+v", s); strings.Contains(stored, plan.Console.Token) {
		t.Error("the store holds the token")
	}
}

func TestLaunchOnce(t *testing.T) {
	c := newConsole(t)
	r := fair(AppRequest{App: "notice"})
	first, err := c.Launch(t.Context(), anOwner, r, "a key")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := c.Launch(t.Context(), anOwner, r, "a key"); err != nil || again.ID != first.ID || again.Instances[0] != first.Instances[0] {
		t.Errorf("asked again: %+v, %v", again, err)
	}
	other := r
	other.Event.Title = "Autumn Fair"
	var input *InputError
	if _, err := c.Launch(t.Context(), anOwner, other, "a key"); !errors.As(err, &input) || input.Fields[0].Field != "Idempotency-Key" {
		t.Errorf("the same key for another launch: %v", err)
	}
	if _, err := c.Launch(t.Context(), anOwner, r, strings.Repeat("k", mostKey+1)); !errors.As(err, &input) || input.Fields[0].Field != "Idempotency-Key" {
		t.Errorf("a huge key: %v", err)
	}
	// So it is where both ask at once.
	second, results := fair(AppRequest{App: "notice"}), make(chan string, 8)
	for range cap(results) {
		go func() {
			o, err := c.Launch(t.Context(), anOwner, second, "another key")
			results <- fmt.Sprint(o.ID, o.Instances, err)
		}()
	}
	one := <-results
	for range cap(results) - 1 {
		if other := <-results; other != one || !strings.HasSuffix(other, "<nil>") {
			t.Errorf("asked at once: %s beside %s", one, other)
		}
	}
	// Somebody else's key is another one.
	if theirs, err := c.Launch(t.Context(), anOrganiser, r, "a key"); err != nil || theirs.ID == first.ID {
		t.Errorf("another's key: %+v, %v", theirs, err)
	}
	events, err := c.Events(t.Context(), anOwner)
	if err != nil || len(events) != 3 || events[0].Name == events[1].Name {
		t.Errorf("events %v, %v", events, err)
	}
}

// TestLaunchTellsAllThatIsWrong: each in its field, none of it repeated at length, and
// nothing is done.
func TestLaunchTellsAllThatIsWrong(t *testing.T) {
	huge := strings.Repeat("x", 1<<20)
	settings := func(name, value string) map[string]string { return map[string]string{"TITLE": "t", name: value} }
	for name, c := range map[string]struct {
		change func(*LaunchRequest)
		fields string // that are wrong
	}{
		"no apps":         {func(r *LaunchRequest) { r.Apps = nil }, "apps"},
		"too many apps":   {func(r *LaunchRequest) { r.Apps = make([]AppRequest, 21) }, "apps"},
		"no such cloud":   {func(r *LaunchRequest) { r.Cloud = "ec3" }, "cloud"},
		"no such app":     {func(r *LaunchRequest) { r.Apps[0].App = "photos" }, "apps[0].app"},
		"a huge app":      {func(r *LaunchRequest) { r.Apps[0].App = apps.AppID(huge) }, "apps[0].app"},
		"neither":         {func(r *LaunchRequest) { r.Apps[0].App = "" }, "apps[0].app"},
		"both":            {func(r *LaunchRequest) { r.Apps[0].Repository = "https://example.org/x.git" }, "apps[0].app"},
		"a huge URL":      {func(r *LaunchRequest) { r.Apps[0] = AppRequest{Repository: "https://" + huge} }, "apps[0].repository"},
		"shell in a name": {func(r *LaunchRequest) { r.Event.Name = "$(reboot)" }, "event.name"},
		"a path":          {func(r *LaunchRequest) { r.Event.Name = "../../etc" }, "event.name"},
		"a huge name":     {func(r *LaunchRequest) { r.Event.Name = strings.Repeat("x", 64) }, "event.name"},
		"capitals":        {func(r *LaunchRequest) { r.Event.Name = "Fair" }, "event.name"},
		"a line break":    {func(r *LaunchRequest) { r.Event.Title = "Fair\nX-Evil: 1" }, "event.title"},
		"turned round":    {func(r *LaunchRequest) { r.Event.Title = "Fair \u202egpj.exe" }, "event.title"},
		"no text":         {func(r *LaunchRequest) { r.Event.Title = "\xff\xfe" }, "event.title"},
		"a huge title":    {func(r *LaunchRequest) { r.Event.Title = huge }, "event.title"},
		"an app's title":  {func(r *LaunchRequest) { r.Apps[0].Title = "a\x00b" }, "apps[0].title"},
		"no such event":   {func(r *LaunchRequest) { r.Event = EventRequest{ID: huge} }, "event.id"},
		"id and more":     {func(r *LaunchRequest) { r.Event.ID = "x" }, "event.id event.id"},
		"an end in past":  {func(r *LaunchRequest) { r.Event.End = "2020-01-01" }, "event.end"},
		"a zone":          {func(r *LaunchRequest) { r.Event.Zone = "Europe/../../x" }, "event.zone"},
		"longer than app": {func(r *LaunchRequest) {
			r.Event.End = "2026-05-31"
			r.Apps[0] = AppRequest{App: "tally", Settings: settings("SEATS", "1")}
		}, "event.end"},
		"webhook file":    {func(r *LaunchRequest) { r.Event.Webhook = "file:///etc/passwd" }, "event.webhook"},
		"webhook inside":  {func(r *LaunchRequest) { r.Event.Webhook = "http://169.254.169.254/latest" }, "event.webhook"},
		"webhook here":    {func(r *LaunchRequest) { r.Event.Webhook = "http://[::1]:80/" }, "event.webhook"},
		"webhook secret":  {func(r *LaunchRequest) { r.Event.Webhook = "https://me:hush@example.org/" }, "event.webhook"},
		"webhook huge":    {func(r *LaunchRequest) { r.Event.Webhook = "https://example.org/" + huge }, "event.webhook"},
		"count":           {func(r *LaunchRequest) { r.Apps[0].Count = -1 }, "apps[0].count"},
		"a huge count":    {func(r *LaunchRequest) { r.Apps[0].Count = 1001 }, "apps[0].count"},
		"two books":       {func(r *LaunchRequest) { r.Apps[0] = AppRequest{App: "guestbook", Count: 2} }, "apps[0].count"},
		"two of a domain": {func(r *LaunchRequest) { r.Apps[0].Count, r.Apps[0].Domains = 2, []string{"fair.example.org"} }, "apps[0].count"},
		"a domain":        {func(r *LaunchRequest) { r.Apps[0].Domains = []string{"*.example.org"} }, "apps[0].domains"},
		"a huge domain":   {func(r *LaunchRequest) { r.Apps[0].Domains = []string{huge} }, "apps[0].domains"},
		"many domains":    {func(r *LaunchRequest) { r.Apps[0].Domains = make([]string, 1000) }, "apps[0].domains"},
		"service a path":  {func(r *LaunchRequest) { r.Apps[0].Service = "/etc" }, "apps[0].service"},
		"service a file":  {func(r *LaunchRequest) { r.Apps[0].Service = "file:///etc" }, "apps[0].service"},
		"service inside":  {func(r *LaunchRequest) { r.Apps[0].Service = "http://169.254.169.254/x.git" }, "apps[0].service"},
		"service by ssh":  {func(r *LaunchRequest) { r.Apps[0].Service = "git@127.0.0.1:x.git" }, "apps[0].service"},
		"service option":  {func(r *LaunchRequest) { r.Apps[0].Service = "--upload-pack=reboot" }, "apps[0].service"},
		"service secret":  {func(r *LaunchRequest) { r.Apps[0].Service = "https://me:hush@example.org/x.git" }, "apps[0].service"},
		"data inside":     {func(r *LaunchRequest) { r.Apps[0].Data = "http://10.0.0.1/x.tar.gz" }, "apps[0].data"},
		"data a path":     {func(r *LaunchRequest) { r.Apps[0].Data = "/root" }, "apps[0].data"},
		"data huge":       {func(r *LaunchRequest) { r.Apps[0].Data = huge }, "apps[0].data"},
		"not a setting": {func(r *LaunchRequest) {
			r.Event.End = "5d"
			r.Apps[0] = AppRequest{App: "tally", Settings: settings("TITEL", "1")}
		}, "apps[0].settings.TITEL"},
		"huge setting": {func(r *LaunchRequest) {
			r.Event.End = "5d"
			r.Apps[0] = AppRequest{App: "tally", Settings: settings(huge, "1")}
		}, "apps[0].settings apps[0].settings"},
		"all of it": {func(r *LaunchRequest) {
			r.Event.Title, r.Event.End = "\x1b[2J", "never"
			r.Apps = append(r.Apps, AppRequest{App: "tally", Count: 5000, Settings: map[string]string{"SEATS": "many", "MAIL": "hush", "PASSWORD": "a\x00hush"}})
		}, "event.title event.end apps[1].count apps[1].settings.MAIL apps[1].settings.PASSWORD apps[1].settings.SEATS apps[1].settings.TITLE"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newConsole(t)
			r := fair(AppRequest{App: "notice"})
			c.change(&r)
			_, err := l.Launch(t.Context(), anOwner, r, "")
			var input *InputError
			if !errors.As(err, &input) {
				t.Fatalf("%.200v", err)
			}
			var fields []string
			for _, f := range input.Fields {
				fields = append(fields, f.Field)
			}
			if got := strings.Join(fields, " "); got != c.fields {
				t.Errorf("wrong are %.300q: %.500v", got, err)
			}
			if len(err.Error()) > 1000 || strings.Contains(err.Error(), "https://me") || strings.Contains(err.Error(), "--set") {
				t.Errorf("it says %.300v", err)
			}
			if _, previewErr := l.Preview(t.Context(), anOwner, r); fmt.Sprint(previewErr) != err.Error() {
				t.Errorf("the preview says %.300v", previewErr)
			}
			if events, err := l.Events(t.Context(), anOwner); err != nil || len(events) != 0 || len(l.cloud.launches) != 0 {
				t.Errorf("something was done: %v, %v", events, err)
			}
		})
	}
}

// TestLaunchARepository launches the commit that was looked at, or says that it is another.
func TestLaunchARepository(t *testing.T) {
	commit := strings.Repeat("ab", 20)
	found := catalogue.Proposal{Repository: "https://example.org/fork.git", Commit: commit, Origin: userdata.Origin{Repository: "https://example.org/fork.git#" + commit}}
	var looking error
	c := newConsole(t, func(o *Options) {
		o.Catalogue.(*fakeCatalogue).inspect = func(string) (catalogue.Proposal, error) { return found, looking }
	})
	m, err := apps.Parse("app.yaml", []byte("manifest_version: 1\nid: fork\nname: Fork\nserve: {type: static}\n"))
	if err != nil {
		t.Fatal(err)
	}
	found.Loaded = apps.Loaded{Manifest: m}
	r := fair(AppRequest{Repository: "https://example.org/fork.git", Commit: commit})
	o, err := c.Launch(t.Context(), anOwner, r, "")
	if err != nil {
		t.Fatal(err)
	}
	all, err := c.Deployments(t.Context(), anOwner, o.Event)
	if err != nil || all[0].Plan.Service.Ref != commit || all[0].Catalogued() || all[0].Commit != commit {
		t.Errorf("launched is %+v, %v", all, err)
	}
	r.Apps[0].Commit = strings.Repeat("cd", 20)
	var conflict *ConflictError
	if _, err := c.Launch(t.Context(), anOwner, r, ""); !errors.As(err, &conflict) || !strings.Contains(err.Error(), "it is at abababababab now, and cdcdcdcdcdcd was looked at") {
		t.Errorf("another commit than was looked at: %v", err)
	}
	// What a stranger's manifest names is looked at as well.
	r.Apps[0].Commit = ""
	found.Loaded.Service.Repository = "http://127.0.0.1:3000/x.git"
	var input *InputError
	if _, err := c.Launch(t.Context(), anOwner, r, ""); !errors.As(err, &input) || input.Fields[0].Field != "apps[0].service" {
		t.Errorf("its code lies on this machine: %v", err)
	}
	looking = apps.Problems{{File: "app.yaml", Line: 3, Column: 1, Field: "serve", Message: "is missing"}}
	if _, err := c.Launch(t.Context(), anOwner, r, ""); !errors.As(err, &input) || input.Fields[0] != (FieldError{"apps[0].repository", "app.yaml:3:1: serve: is missing"}) {
		t.Errorf("its manifest is wrong: %v", err)
	}
	looking = errors.New("the disk is full")
	if _, err := c.Launch(t.Context(), anOwner, r, ""); errors.As(err, &input) || !errors.Is(err, looking) {
		t.Errorf("the console's own error: %v", err)
	}
}

func TestWhatTheCloudRefuses(t *testing.T) {
	c := newConsole(t)
	c.cloud.refusal = errors.New("no machine is left; end one first")
	_, err := c.Launch(t.Context(), anOwner, fair(AppRequest{App: "notice"}, AppRequest{App: "guestbook"}), "")
	if err == nil || err.Error() != "apps[0]: no machine is left; end one first; apps[1]: no machine is left; end one first" {
		t.Errorf("the cloud refuses, and: %v", err)
	}
}

// An app of the catalogue with somebody else's code is no app of the catalogue.
func TestLaunchOfOtherCodeIsAStrangers(t *testing.T) {
	c := newConsole(t)
	for _, r := range []AppRequest{
		{App: "notice"},
		{App: "notice", Service: "https://example.org/mine.git"},
		{App: "notice", Data: "https://example.org/mine.git"},
	} {
		v, err := c.Preview(t.Context(), anOwner, fair(r))
		if err != nil {
			t.Fatal(err)
		}
		if own := r.Service+r.Data == ""; v.Apps[0].Deployment.Catalogued() != own {
			t.Errorf("%+v is taken for one of the catalogue: %v", r, !own)
		}
	}
}

func TestLaunchThatCouldNotReachTheConsole(t *testing.T) {
	for _, c := range []struct{ url, cloud, want string }{
		{"http://127.0.0.1:8000", "local", ""},
		{"http://localhost:8000", "local", ""},
		{"https://console.example.org", "local", ""},
		{"https://console.example.org", "ec2", ""},
		{"https://127.0.0.1:8000", "ec2", "which is an address of its own machine alone; start it with --url"},
		{"http://[::1]:8000", "ec2", "which is an address of its own machine alone"},
		{"http://console.example.org", "ec2", "could be changed on its way"},
		{"http://10.0.0.1", "local", "could be changed on its way"},
		{"", "local", "does not know its own address"},
	} {
		console := newConsole(t, func(o *Options) {
			o.URL, o.Clouds = c.url, map[string]Cloud{"local": o.Clouds["local"], "ec2": newFakeCloud()}
		})
		r := fair(AppRequest{App: "notice"})
		r.Cloud = c.cloud
		_, err := console.Launch(t.Context(), anOwner, r, "")
		var input *InputError
		if c.want == "" && err != nil || c.want != "" && (!errors.As(err, &input) || input.Fields[0].Field != "cloud" || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s from %s: %v; want %q", c.url, c.cloud, err, c.want)
		}
	}
}

func TestNames(t *testing.T) {
	for title, want := range map[string]string{"Spring Fair 2026": "spring-fair-2026", "  --Ärger & Söhne!! ": "aerger-soehne", "北京": "", "Łódź": "lodz",
		strings.Repeat("a b", 50): strings.Trim(strings.Repeat("a-b", 50)[:40], "-"), "$(rm -rf /)": "rm-rf", "a": "a"} {
		if got := nameOf(title); got != want || got != "" && checkName(got) != nil {
			t.Errorf("%q is named %q, want %q", title, got, want)
		}
	}
	for address, want := range map[string]string{"https://example.org:8443/x.git": "example.org", "git@example.org:x.git": "example.org", "ssh://me@[::1]:22/x": "::1",
		"file:///etc": "", "/etc": "", "./x": "", "http://169.254.169.254/": "169.254.169.254"} {
		if got := hostOf(address); got != want {
			t.Errorf("the host of %s is %q, want %q", address, got, want)
		}
	}
}

// FuzzTitles: whatever is typed, an event that is made of it has a name that is fit for
// an address and for instances.
func FuzzTitles(f *testing.F) {
	for _, seed := range []string{"Spring Fair", "", "\u202e", "a\x00", "ß", strings.Repeat("é", 200), "-", "'; DROP TABLE--", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, title string) {
		if name := nameOf(title); name != "" && checkName(name) != nil || len(name) > mostSlug {
			t.Errorf("%q is named %q", title, name)
		}
		if checkTitle(title) == nil && strings.ContainsAny(title, "\n\r\x00\x1b\u202e\u2028") {
			t.Errorf("%q is a title", title)
		}
	})
}

// localGuard lets through this machine, for tests with servers of their own.
func localGuard() *guard.Dialer {
	return guard.New(guard.Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
}
