package console

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"popup/console"
	"popup/internal/testutil"
	"popup/store"
	"popup/store/sqlite"
)

// acknowledged holds what was acknowledged against what a new console knows.
func (o *torture) acknowledged() {
	o.Helper()
	answers := map[[2]string]string{}
	for _, k := range o.known {
		answer, asked := answers[[2]string{k.path, k.token}]
		if !asked {
			answer = o.see(k)
			answers[[2]string{k.path, k.token}] = answer
		}
		if !strings.Contains(answer, k.word) {
			o.Errorf("after %d kills %s does not have %s, which was acknowledged: %s", o.kills, k.path, k.word, answer)
		}
	}
	for _, l := range o.launched[max(0, len(o.launched)-10):] { // the last see to it that one before was there in its time
		before := l.operation
		again := &torture{TB: o.TB, owner: o.owner, asked: &launched{name: l.name}}
		must(o, again.launch(o.Context()))
		if got := again.launched[0].operation; got.ID != before.ID || !slices.Equal(got.Instances, before.Instances) {
			o.Errorf("after %d kills the launch of %s is %+v; %+v was acknowledged", o.kills, l.name, got, before)
		}
		var e struct{ State string }
		o.owner.must(o, "GET", "/events/"+l.name, nil, &e)
		if over := e.State == "ended" || e.State == "archived"; l.ended && !over {
			o.Errorf("after %d kills %s is %s, and its end was acknowledged", o.kills, l.name, e.State)
		}
	}
}

// see is what is answered to who looks for something known.
func (o *torture) see(k known) string {
	o.Helper()
	who := *o.owner
	who.Token = cmp.Or(k.token, who.Token)
	var text json.RawMessage
	if err := who.Ask(o.Context(), testutil.Ask{Method: "GET", Path: k.path, Out: &text}); err != nil {
		return err.Error()
	}
	return string(text)
}

// settle waits until what is wanted is there, and holds instances against processes.
func (o *torture) settle(r *running) {
	o.Helper()
	var all []console.Instance
	var why string
	for deadline := time.Now().Add(4 * time.Minute); ; {
		all = o.instances()
		if why = o.unsettled(all); why == "" {
			break
		}
		if time.Now().After(deadline) {
			o.Errorf("it does not settle: %s\n%s", why, r.Log())
			break
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-o.Context().Done():
			o.Fatal(o.Context().Err())
		}
	}
	wanted := map[string]bool{}
	for _, l := range o.launched {
		for _, id := range l.operation.Instances {
			wanted[id] = true
		}
	}
	if o.asked != nil { // it may be there, or not
		for _, i := range all {
			if strings.HasPrefix(i.ID, o.asked.name+"-") {
				wanted[i.ID] = true
			}
		}
	}
	running, states := o.processes(), map[console.InstanceState]int{}
	for _, i := range all {
		states[i.State]++
		if !wanted[i.ID] {
			o.Errorf("%s was not acknowledged, or is one too many", i.ID)
		}
		if _, err := os.Stat(filepath.Join(o.dir, "instances", i.ID)); i.State.Over() == (err == nil) {
			o.Errorf("%s is %s, and its folder: %v", i.ID, i.State, err)
		}
		if i.State.Over() == running[i.ID] {
			o.Errorf("%s is %s, and that it has a process is %v", i.ID, i.State, running[i.ID])
		}
		delete(wanted, i.ID)
		delete(running, i.ID)
	}
	for id := range wanted {
		o.Errorf("%s was acknowledged, and is lost", id)
	}
	for id := range running {
		o.Errorf("the process of %s is an orphan", id)
	}
	o.Logf("%d instances: %v", len(all), states)
}

// instances are all that the console knows.
func (o *torture) instances() (all []console.Instance) {
	o.Helper()
	for token := ""; ; {
		var page struct {
			Instances []console.Instance
			Next      string `json:"next_page_token"`
		}
		o.owner.must(o, "GET", "/instances?page_size=500&page_token="+token, nil, &page)
		all = append(all, page.Instances...)
		if token = page.Next; token == "" {
			return all
		}
	}
}

// unsettled says what is still under way; empty: nothing.
func (o *torture) unsettled(all []console.Instance) string {
	ended := map[string]bool{}
	for _, l := range o.launched {
		ended[l.operation.Event] = l.ended
	}
	for _, i := range all {
		if want := ended[i.Event]; want && i.State != console.InstanceGone || !want && i.State != console.InstanceLive && !i.State.Over() {
			return fmt.Sprintf("%s is %s (%s), and that its event was ended is %v", i.ID, i.State, i.Failure, want)
		}
	}
	return ""
}

// processes are the instances that run; one that runs twice is an error.
func (o *torture) processes() map[string]bool {
	o.Helper()
	of := map[string]bool{}
	for pid, instance := range o.pids() {
		if of[instance] {
			o.Errorf("after %d kills %s runs twice, once as %d", o.kills, instance, pid)
		}
		of[instance] = true
	}
	return of
}

// pids are the processes of this console's instances.
func (o *torture) pids() map[int]string {
	o.Helper()
	entries, err := os.ReadDir("/proc")
	must(o, err)
	all := map[int]string{}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		line, readErr := os.ReadFile("/proc/" + entry.Name() + "/cmdline")
		args := strings.Split(string(line), "\x00")
		if err != nil || readErr != nil || len(args) < 4 || args[1] != "up" || args[2] != "--root" {
			continue
		}
		if rest, ours := strings.CutPrefix(args[3], filepath.Join(o.dir, "instances")+"/"); ours {
			all[pid], _, _ = strings.Cut(rest, "/")
		}
	}
	return all
}

// endProcesses ends what outlives the console.
func (o *torture) endProcesses() {
	for pid := range o.pids() {
		_ = syscall.Kill(-pid, syscall.SIGKILL) // it leads its group; it may have ended
	}
}

// audited verifies the audit log, and that every launch is in it once.
func (o *torture) audited() {
	o.Helper()
	s, err := sqlite.Open(o.Context(), filepath.Join(o.dir, "store"))
	must(o, err)
	defer s.Close()
	newest, err := store.VerifyAudit(o.Context(), s)
	if err != nil {
		o.Error(err)
	}
	launches := map[string]int{}
	must(o, s.View(o.Context(), func(tx console.Tx) error {
		for before := int64(0); ; {
			page, err := tx.AuditLog(before, 0)
			if err != nil || len(page) == 0 {
				return err
			}
			for _, e := range page {
				if e.Action == "launch" {
					launches[e.Object]++
				}
			}
			before = page[len(page)-1].Seq
		}
	}))
	for _, l := range o.launched {
		if n := launches["event/"+l.operation.Event]; n != 1 {
			o.Errorf("the audit log has %d launches of %s", n, l.name)
		}
	}
	if extra := len(launches) - len(o.launched); extra < 0 || extra > 1 || extra == 1 && o.asked == nil {
		o.Errorf("the audit log has launches of %d events, and %d were acknowledged", len(launches), len(o.launched))
	}
	o.Logf("the audit log is whole: %d entries", newest.Seq)
}
