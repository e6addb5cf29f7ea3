package process

import (
	"os"
	"testing"
)

func TestParseStat(t *testing.T) {
	const rest = " S 1 42 43 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2"
	want := stat{state: 'S', group: 42, session: 43, start: 98765}
	for _, name := range []string{"sh", "a b", ") Z 1 1 1", "((", "", "\n"} {
		if got, err := parseStat("7 (" + name + ")" + rest); err != nil || got != want {
			t.Errorf("name %q: %+v, %v; want %+v", name, got, err, want)
		}
	}
	for _, line := range []string{"", "7", "7 (sh)", "7 (sh) S 1 42", "7 (sh) S 1 x 43 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765"} {
		if got, err := parseStat(line); err == nil {
			t.Errorf("%q: %+v, want an error", line, got)
		}
	}
	own, err := readStat(os.Getpid())
	if err != nil || own.start == 0 || own.group == 0 {
		t.Errorf("our own: %+v, %v", own, err)
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add("7 (sh) S 1 42 43 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2")
	f.Add("7 () Z) R 1 1 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 18446744073709551615")
	f.Add("7 (sh")
	f.Fuzz(func(t *testing.T, line string) {
		got, err := parseStat(line)
		if err != nil && got != (stat{}) {
			t.Errorf("%q: %+v with the error %v", line, got, err)
		}
	})
}

func FuzzParseRecord(f *testing.F) {
	f.Add([]byte(`{"name":"app","pid":42,"start_time":7,"boot_id":"b","token":"abcdefghijklmnopqrstuvwxyz","cgroup":"/sys/fs/cgroup/popup-app-abcdefghijklmnopqrstuvwxyz"}`))
	f.Add([]byte(`{"name":"app","pid":-1,"start_time":7,"boot_id":"b","token":"abcdefghijklmnopqrstuvwxyz"}`))
	f.Add([]byte(`{"name":"app","pid":42,"start_time":7,"boot_id":"b","token":""}`))
	f.Fuzz(func(t *testing.T, encoded []byte) {
		r, err := parseRecord(encoded)
		if err == nil && (r.PID <= 1 || r.Token == "" || r.Cgroup == "/") {
			t.Errorf("%q is taken for %+v", encoded, r)
		}
	})
}

func TestFindCgroup(t *testing.T) {
	const pure = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n"
	const hybrid = "31 30 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n32 30 0:28 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
	const container = "40 39 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n"
	for _, c := range []struct{ name, mounts, groups, want string }{
		{"version 2", pure, "0::/system.slice/popup.service\n", "/sys/fs/cgroup/system.slice/popup.service"},
		{"its root", pure, "0::/\n", "/sys/fs/cgroup"},
		{"both versions", hybrid, "8:pids:/x\n0::/popup.service\n", "/sys/fs/cgroup/unified/popup.service"},
		{"a part is mounted", container, "0::/docker/abc/inner\n", "/sys/fs/cgroup/inner"},
		{"another part is mounted", container, "0::/docker/abcd\n", ""},
		{"outside of what is seen", pure, "0::/../other\n", ""},
		{"version 1", "32 30 0:28 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n", "8:pids:/x\n", ""},
		{"nothing", "", "", ""},
	} {
		if got := findCgroup(c.mounts, c.groups); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
