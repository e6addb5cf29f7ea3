package web

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"popup/apps"
	"popup/console"
	"popup/console/catalogue"
	"popup/internal/wire"
	"popup/templates"
)

// samplePlan is of a guestbook.
func samplePlan(address string) wire.Plan {
	return wire.Plan{Manifest: apps.Manifest{ID: "guestbook", Name: "Guestbook"}, Service: wire.Source{URL: "https://github.com/fair/guestbook.git", Ref: commit}, Data: &wire.Source{URL: address}}
}

func sampleMark() appMark { return appMark{Letter: "G"} }

func eventSamples(title, address string) []sample {
	open, over := sampleEvent(title), sampleEvent("Winter bazaar")
	over.State, over.EndedAt, over.Name = console.EventArchived, noon.Add(-90*24*time.Hour), "winter-bazaar"
	over.End = "2026-02-27"
	frozen := sampleEvent("Photo wall of class 4b")
	frozen.State, frozen.Stuck = console.EventFrozen, "an app cannot be archived: "+title
	for _, e := range []*console.Event{&open, &over, &frozen} {
		e.Cap, e.Meters = 25_500_000, []console.Meter{{Currency: "USD", At: noon, Spent: 3600 * 12_340_000, Hour: 100_000}}
	}
	over.Meters[0].Hour, over.CapReached = 0, true
	scheduled := sampleEvent("Summer auction")
	scheduled.State, scheduled.StartsAt, scheduled.End, scheduled.EndsAt = console.EventScheduled, noon.Add(6*24*time.Hour), "2026-07-04T18:00", time.Date(2026, 7, 4, 16, 0, 0, 0, time.UTC)
	home := eventsPage{MayLaunch: true, Past: []eventCard{cardOf(over, noon)}}
	for _, e := range []console.Event{open, frozen, scheduled} {
		home.Current = append(home.Current, cardOf(e, noon))
	}
	live, starting, sick := sampleInstance(title, address), sampleInstance("Photo wall", address), sampleInstance("Auction", address)
	starting.Health, starting.ID, starting.Why = console.HealthStarting, "i2", "it installs packages"
	sick.Health, sick.ID, sick.Why, sick.LastReport = console.HealthUnhealthy, "i3", "its page answers 500", nil
	public := publicOf(console.PublicEvent{Event: open, Reminder: "It ends on Sunday evening.", Apps: []console.PublicApp{
		{Title: title, Address: address, Live: true, Says: "open"}, {Title: "Photo wall", Says: "it is starting"}, {Title: "Auction", Address: "https://auction.example.org", Live: true, Says: "open for bids"}}}, noon)
	ended := console.Receipt{Event: over}
	for n, word := range []string{"archived and verified", "had nothing to keep", "discarded by " + title} {
		i := sampleInstance(title, address).Instance
		i.ID, i.Gone = fmt.Sprintf("winter-bazaar-guestbook-%d", n), noon.Add(-89*24*time.Hour)
		if n == 0 {
			i.Archive = &console.Archive{Instance: i.ID, Name: "final.tar.zst", SHA256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", Size: 1 << 20, Files: 12}
		}
		ended.Instances = append(ended.Instances, console.ReceiptLine{Instance: i, Title: title, Gone: n < 2, State: word})
	}
	ended.Unknown = "What ec2 has of it could not be told: " + title
	for n, thing := range []console.LeftThing{{Gone: noon}, {Why: title}, {Dismissed: "olga"}, {}} {
		thing.Cloud, thing.Kind, thing.ID, thing.Place = "ec2", console.ThingGroup, fmt.Sprintf("sg-%d", n), "eu-central-1"
		ended.Things = append(ended.Things, console.ReceiptThing{LeftThing: thing, Title: title, Left: n == 1 || n == 2})
	}
	receipt := receiptOf(ended, noon)
	receipt.Confirmations = []confirmation{{ID: "discard-1", Title: "Give up what " + title + " wrote", Text: title, Name: title, Button: "Give it up", Action: "/instances/1/discard", CSRF: "C0"}}
	return []sample{
		{"events-empty", templates.ConsoleEvents, view{title: "Events", section: sectionEvents, data: eventsPage{MayLaunch: true}}, console.RoleOrganiser},
		{"events", templates.ConsoleEvents, view{title: "Events", section: sectionEvents, data: home}, console.RoleOwner},
		{"events-viewer", templates.ConsoleEvents, view{title: "Events", section: sectionEvents, data: eventsPage{}}, console.RoleViewer},
		{"event", templates.ConsoleEvent, view{title: title, section: sectionEvents, stream: "saved", data: sampleEventPage(open, []console.InstanceView{live, starting, sick}, title, address)}, console.RoleOwner},
		{"event-helper", templates.ConsoleEvent, view{title: title, section: sectionEvents, data: eventPageData{Path: "/events/x", Title: title, Chip: eventChips[console.EventEnded], Ends: endsWords(over, noon), ReceiptPath: "/r"}}, console.RoleHelper},
		{"receipt", templates.ConsoleReceipt, view{title: "Receipt", section: sectionEvents, data: receipt}, console.RoleOwner},
		{"public", templates.ConsolePublic, view{title: title, data: public}, ""},
		{"public-over", templates.ConsolePublic, view{title: title, data: publicOf(console.PublicEvent{Event: over}, noon)}, ""},
		{"progress", templates.ConsoleProgress, view{title: title, section: sectionEvents, data: progressOf(console.Operation{ID: "o1", Verb: "launch", State: console.OperationRunning, Instances: []string{live.ID, "i2", "i3"}, Failure: title}, open, []console.InstanceView{live, starting, sick}, noon)}, console.RoleOwner},
	}
}

func sampleEventPage(e console.Event, instances []console.InstanceView, title, address string) eventPageData {
	page := (&Server{opts: Options{URL: "https://popup.example.org"}}).eventFrame(e, noon)
	page.Reminder = "It ends in 3 days: " + title
	page.Operations = []pathText{{operationPath("o1"), operationWords(console.Operation{Verb: "launch", Instances: []string{"1", "2"}})}}
	from := linkSource(wire.Source{URL: address, Ref: commit})
	for _, i := range instances {
		page.Deployments = append(page.Deployments, deploymentCard{Mark: sampleMark(), Title: i.Title, App: "Guestbook", From: &from, Instances: []instanceLine{lineOf(i, 1)}})
	}
	page.Deployments[0].More = &pathText{"/instances", "and 38 more"}
	page.AddPath, page.Manage, page.Zones = "/apps?event=spring-fair", true, zones
	page.Archives = []archiveLine{{Title: title, Size: size(81234567), Files: "412 files", Path: "/a", LaunchPath: "/launch?app=guestbook", Taken: at(noon.Add(-time.Hour), noon, time.UTC), Final: true}}
	page.Links = []linkLine{{title, "/l", at(e.Created, noon, time.UTC)}}
	page.NewLink = field{Name: "title", In: "link", Label: "Who is it for?"}
	page.moneyFields(e, new(title))
	page.dateFields(e, map[string]string{"end": "2026-05-27", "zone": e.Zone, "title": title})
	page.Confirmations = []confirmation{{ID: "end", Title: "End it now", Name: e.Name, Button: "End it now", Action: "/e", CSRF: "C0", Text: "Gone for good."}}
	page.explain(eventForm{dates: map[string]string{}, errors: []console.FieldError{{Field: "end", Message: title + " is neither a day nor a time"}}})
	page.Log = []auditLine{{At: at(noon, noon, time.UTC), Actor: title, Action: "launch", Object: "event e1", Path: "/events/e1", Detail: title}}
	page.LogPath = "/audit"
	return page
}

func launchSamples(title, address string) []sample {
	m := apps.Manifest{ID: "guestbook", Name: title, Description: "Visitors leave a name and a few lines. " + title, Keywords: []string{"guestbook", "community"}, License: "Apache-2.0", Website: address,
		Serve: apps.Serve{Type: apps.ServeCommand, StartCommand: "exec python3 guestbook.py " + title}, State: &apps.State{Size: 100e6}, Resources: apps.Resources{Memory: 128e6, Disk: 500e6},
		Lifetime: apps.Lifetime{DefaultTTL: apps.Duration(30 * 24 * time.Hour)}, Packages: apps.Packages{Apt: []string{"python3"}},
		Env: map[string]apps.EnvVar{"TITLE": {Description: "What stands at the top. " + title, Value: "Guestbook"}, "ADMIN": {Description: "Who is told.", Required: true, Type: "email"},
			"KEY": {Secret: true, Generator: "secret"}, "LOOK": {Choices: []string{"light", "dark"}}, "TOKEN": {Secret: true, Value: "hush"}}}
	app := catalogue.App{Loaded: apps.Loaded{Manifest: m, File: "guestbook/app.yaml"}, Commit: commit, Code: wire.Source{URL: "https://github.com/fair/guestbook.git", Ref: "main"}, Content: &wire.Source{URL: address}}
	page := appOf(app)
	page.appMark, page.MayLaunch, page.LaunchPath = sampleMark(), true, "/launch?app=guestbook"
	page.Warnings = []string{"Its newest version cannot be read: " + title}
	page.UserData, page.UserDataPath = &copyable{ID: "userdata", Text: "#!/bin/sh\n# popup: " + title + "\n", What: "the user-data", Lines: true}, "/u"
	cards := appsPage{Text: title, Keywords: []keyword{{"auction", "/apps?q=auction", true}, {"community", "/apps", false}, {title, "/apps", false}}, MayLaunch: true}
	for _, name := range []string{title, "Photo wall", "Notice board", "Auction"} {
		cards.Apps = append(cards.Apps, appCard{appMark{Letter: letterOf(name)}, "/apps/x", name, "Visitors leave a name and a few lines. Python’s standard library and SQLite, nothing else."})
	}
	proposal := proposalPage{Address: field{Name: "repository", Label: "Address of the repository", Type: "url", Value: address}}
	proposal.propose(catalogue.Proposal{Loaded: app.Loaded, Repository: address, Commit: commit, Original: &catalogue.Original{App: app, Why: "id", Fields: []catalogue.FieldChange{
		{Field: "scripts.postdeploy", New: "curl " + title, Concern: catalogue.ConcernScript}, {Field: "name", Old: "Guestbook", New: title}}}})
	s := &Server{opts: Options{URL: "https://popup.example.org"}, catalogue: &catalogue.Catalogue{}, volumes: true}
	launch := launchPage{Charges: true, Key: "k", Zones: zones, Choices: []choice{{"guestbook", title}, {"notice", "Notice board"}}, Apps: []chosenApp{s.chosen(0, console.AppRequest{App: "guestbook", Settings: map[string]string{"TITLE": title}}, m), s.chosen(1, console.AppRequest{Repository: address, Commit: commit}, m)}}
	launch.eventFields(console.EventRequest{Title: title, End: "2026-05-31", Zone: "Europe/Zurich"})
	launch.cloudField([]string{"local", "manual"}, "local")
	wrong := launch
	wrong.Apps = append([]chosenApp(nil), launch.Apps...)
	wrong.explain([]console.FieldError{{Field: "event.end", Message: "yesterday is over already"}, {Field: "apps[0].settings.ADMIN", Message: "it is needed: who is told"}, {Field: "apps[1]", Message: title}})
	launch.eventFields(console.EventRequest{End: "2026-05-31", Zone: "Europe/Zurich"})
	launch.Apps = launch.Apps[:1:1]
	launch.Apps[0] = s.chosen(0, console.AppRequest{App: "guestbook"}, m)
	check := s.checkOf(console.Preview{Event: sampleEvent(title), New: true, Button: "Launch until 31 May", Cloud: "local", Count: 2, Notes: []string{"the data is asked for by everybody: " + title},
		Apps: []console.PreviewApp{{Name: "Guestbook", UserData: "#!/bin/sh\n" + title, Deployment: console.Deployment{App: "guestbook", Title: title, Count: 2, Plan: samplePlan(address), Settings: map[string]string{"TITLE": title}, SecretNames: []string{"TOKEN"}}}}}, noon)
	check.Price = priceOf(console.Quote{Lines: []console.QuoteLine{{Title: title, What: "t4g.small in eu-central-1", Hour: console.Money{Currency: "USD", Millionths: 19_200}, Count: 2,
		For: 744 * time.Hour, Total: console.Money{Currency: "USD", Millionths: 28_569_600}}}, Total: []console.Money{{Currency: "USD", Millionths: 28_569_600}}, AsOf: noon,
		Whole: []console.Money{{Currency: "USD", Millionths: 30_000_000}}, Unknown: []string{"What " + title + " costs is not known: " + title}, Cap: "Its cap is reached: " + title}, time.UTC)
	check.Hidden = hiddenLaunch(console.LaunchRequest{Event: console.EventRequest{Title: title}, Apps: []console.AppRequest{{App: "guestbook", Settings: map[string]string{"TITLE": title}}}}, "k")
	images := imagesOf([]console.KeptImage{{Image: console.Image{ID: "ami-0123456789abcdef0", Ready: true, Baked: noon.Add(-30 * time.Hour)}, Cloud: "ec2", App: title, Expires: noon.Add(28 * 24 * time.Hour),
		Times: console.BootTimes{Baked: 40 * time.Second, BakedCount: 3, Plain: 95 * time.Second, PlainCount: 4}}, {Image: console.Image{ID: title}, Cloud: "ec2"}},
		[]console.Bake{{Title: title, Cloud: "ec2", State: console.BakeInstalls, Created: noon.Add(-time.Minute)}, {Title: title, Cloud: "ec2", State: console.BakeFailed, Failure: title, Created: noon.Add(-time.Hour)}}, true, noon)
	images.Key, images.MayMake, images.Trouble, images.New = "k", true, title, []field{{Name: "app", Label: "Of which app?", Type: "select", Choices: []choice{{"guestbook", title}}}, {Name: "cloud", Label: "In which cloud?", Type: "select", Choices: []choice{{"ec2", "ec2"}}}}
	return []sample{
		{"images", templates.ConsoleImages, view{title: "Images", section: sectionApps, data: images}, console.RoleOwner},
		{"images-none", templates.ConsoleImages, view{title: "Images", section: sectionApps, data: imagesPage{MayMake: true}}, console.RoleOrganiser},
		{"apps", templates.ConsoleApps, view{title: "Apps", section: sectionApps, data: cards}, console.RoleOrganiser},
		{"apps-none", templates.ConsoleApps, view{title: "Apps", section: sectionApps, data: appsPage{Text: title}}, console.RoleViewer},
		{"app", templates.ConsoleApp, view{title: title, section: sectionApps, data: page}, console.RoleOrganiser},
		{"proposal", templates.ConsoleProposal, view{title: "Before", section: sectionApps, data: proposal}, console.RoleOrganiser},
		{"launch", templates.ConsoleLaunch, view{title: "Launch", section: sectionEvents, data: launch}, console.RoleOrganiser},
		{"launch-wrong", templates.ConsoleLaunch, view{title: "Launch", section: sectionEvents, data: wrong}, console.RoleOrganiser},
		{"check", templates.ConsoleCheck, view{title: "Check", section: sectionEvents, data: check}, console.RoleOrganiser},
	}
}

func fleetSamples(title, address string) []sample {
	list := console.InstancePage{Total: 10000, Next: "abc", Counts: map[string]int{console.HealthLive: 9812, console.HealthUnhealthy: 3, console.HealthSilent: 1, console.HealthStarting: 180, console.HealthEnding: 4}}
	for n, health := range healths {
		i := sampleInstance(title, address)
		i.ID, i.Number, i.Health, i.Why = fmt.Sprintf("spring-fair-guestbook-k3x9-%d", n+1), n+1, health, title
		list.Instances = append(list.Instances, i)
	}
	given := url.Values{"health": {console.HealthLive}, "sort": {"-heard"}, "q": {title}, "page": {"x"}}
	page := instancesPage{Filter: (&Server{opts: Options{Clouds: []string{"local", "manual"}}}).filterFields(given)}
	page.fill(list, given, noon)
	empty := instancesPage{MayLaunch: true}
	empty.fill(console.InstancePage{}, url.Values{}, noon)
	i := sampleInstance(title, address)
	one := instanceOf(i, noon)
	one.Hand = console.Handwork{Paste: true, Confirm: true, Replace: true, Snapshot: true}
	one.Commands, one.ConfigPath = commandsOf(i), "/api/v1/instances/x/config"
	one.Problems = []fieldProblem{{Message: title}}
	return []sample{
		{"instances", templates.ConsoleInstances, view{title: "Instances", section: sectionInstances, data: page}, console.RoleOwner},
		{"instances-empty", templates.ConsoleInstances, view{title: "Instances", section: sectionInstances, data: empty}, console.RoleOwner},
		{"instance", templates.ConsoleInstance, view{title: title, section: sectionInstances, data: one}, console.RoleOwner},
		{"logs", templates.ConsoleLogs, view{title: "Log", section: sectionInstances, data: logsPage{Title: title, Path: "/i", Here: "/l", Says: "12 KB", Text: "line\n" + title}}, console.RoleOwner},
		{"logs-wait", templates.ConsoleLogs, view{title: "Log", section: sectionInstances, data: logsPage{Title: title, Path: "/i", Here: "/l"}}, console.RoleOwner},
	}
}

// threeConsoles are those of a cluster of which one does not answer.
func threeConsoles(title string) console.ClusterState {
	return console.ClusterState{Why: title + " does not answer: start it again", Members: []console.Member{
		{Address: "10.0.0.1:7071", Self: true, Role: console.Voter, Leads: true, Answers: true, Follows: "10.0.0.1:7071", Version: "0.4.0"},
		{Address: "10.0.0.2:7071", Role: console.Voter, Answers: true, Follows: "10.0.0.1:7071", Behind: 1, Version: "0.4.0"},
		{Address: title, Role: console.Voter, Behind: -1}}}
}

func houseSamples(title string) []sample {
	people := peoplePage{New: newPersonFields(console.NewPerson{}), Roles: roleMeans, Admin: true, People: []personRow{
		personOf(console.Person{ID: "p1", Name: "ada", Display: title, Email: "ada@example.org", Role: console.RoleOwner, Seen: noon.Add(-time.Minute)}, noon),
		personOf(console.Person{ID: "p2", Name: "grace", Role: console.RoleOrganiser}, noon), personOf(console.Person{ID: "p3", Name: title, Role: console.RoleViewer, Disabled: true}, noon)}}
	account := accountPage{Display: title, May: mays[console.RoleOwner], Password: []field{{Name: "old", Label: "The one you have", Type: "password"}, newPassword("password", "The new one")},
		Tokens: []tokenLine{tokenOf(console.Token{ID: "t", Title: title, Expires: noon.Add(9 * 24 * time.Hour), Reads: true}, noon)}, NewToken: tokenFields(console.NewToken{})}
	log := auditPage{Heading: "Audit", Next: "/audit?before=1"}
	for n, action := range []string{"launch", "freeze", "sign in"} {
		log.Log = append(log.Log, auditLine{At: at(noon.Add(-time.Duration(n)*time.Hour), noon, time.UTC), Actor: title, Action: action, Object: "event " + title, Path: "/events/x", Detail: title})
	}
	settings := settingsPage{Console: []fact{{"Version", "0.4.0", false}, {"Address", "https://popup.example.org", true}}, Clouds: []cloudLine{{"local", spoken(cloudWords("local")), true}, {"manual", spoken(cloudWords("manual")), false}},
		Catalogue: []fact{{"From", title, false}, {"At", shortCommit(commit), true}}, Problems: []string{title}, Backup: "/api/v1/backup", KeyFile: "secrets.key",
		Changes: []appChange{{title, "changed", []difference{{"name", title, "Guestbook", false}}}}}
	settings.Cluster = clusterOf(console.ClusterState{}, 0)
	three := settings
	three.Cluster = clusterOf(threeConsoles(title), 3)
	notice := notices[http.StatusNotFound]
	notice.Text, notice.Request, notice.Path, notice.Button, notice.Fields = spoken(title), "abc123", "/", "To the start", []fieldProblem{{Label: title, Message: title}}
	return []sample{
		{"people", templates.ConsolePeople, view{title: "People", section: sectionConsole, tab: tabPeople, data: people}, console.RoleOwner},
		{"account", templates.ConsoleAccount, view{title: "You", section: sectionAccount, data: account}, console.RoleOwner},
		{"audit", templates.ConsoleAudit, view{title: "Audit", section: sectionConsole, tab: tabAudit, data: log}, console.RoleOwner},
		{"settings", templates.ConsoleSettings, view{title: "Settings", section: sectionConsole, tab: tabSettings, data: settings}, console.RoleOwner},
		{"settings-three", templates.ConsoleSettings, view{title: "Settings", section: sectionConsole, tab: tabSettings, data: three}, console.RoleOwner},
		{"once", templates.ConsoleOnce, view{title: "Once", section: sectionAccount, data: oncePage{Heading: "A token for " + title, Text: title, Copy: copyable{ID: "secret", Text: "popup_9f86d081884c7d659a2feaa0c55ad015", What: "the token"}, Back: "/account"}}, console.RoleOwner},
		{"notice", templates.ConsoleNotice, view{title: "Nothing here", data: notice}, console.RoleOwner},
	}
}
