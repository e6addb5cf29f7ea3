package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"popup/apps"
	"popup/console"
	"popup/web/api"
	"popup/web/client"
)

// bakeFlags say how an image is made.
type bakeFlags struct {
	clientFlags
	cloud string
	await bool
}

func newBakeCommand() *cobra.Command {
	var f bakeFlags
	cmd := &cobra.Command{
		Use:   "bake APP|URL[#REF]",
		Short: "make an image of an app, from which its next launches start",
		Long: `bake has a console launch one machine that installs all an app needs and serves nothing;
its disk, cleaned of all that is the machine's own, becomes an image, and the machine is
taken away. The next launches of that app start from the image, and fetch what is newer.

An image is replaced by the next one of the app, and goes after 30 days in any case.`,
		Args: cobra.ExactArgs(1),
		RunE: asks(func(cmd *cobra.Command, c *client.Client, args []string) error {
			request, err := f.request(args[0])
			if err != nil {
				return usageError{err}
			}
			return f.bake(cmd, c, request)
		}),
	}
	f.register(cmd)
	cmd.Flags().StringVar(&f.cloud, "cloud", "", "where it is for (default the console's own choice)")
	cmd.Flags().BoolVar(&f.await, "wait", false, "wait until the image is there; exit 1 where none comes of it")
	cmd.AddCommand(newBakeLsCommand(), newBakeRmCommand())
	return cmd
}

// request is what an argument asks for.
func (f bakeFlags) request(what string) (console.BakeRequest, error) {
	r := console.BakeRequest{Cloud: f.cloud}
	switch info, err := os.Stat(what); {
	case strings.ContainsAny(what, ":@"):
		r.Repository = what
	case strings.ContainsAny(what, "/.") || err == nil && info.IsDir():
		return r, fmt.Errorf("%s is a folder of this machine, which the console cannot see; give the address of its repository", what)
	default:
		r.App = apps.AppID(what)
	}
	return r, nil
}

func (f bakeFlags) bake(cmd *cobra.Command, c *client.Client, r console.BakeRequest) error {
	operation, err := c.Bake(cmd.Context(), r, rand.Text())
	if err != nil {
		return err
	}
	if !f.await {
		return f.print(cmd, operation, func(w io.Writer) {
			fmt.Fprintln(w, "an image is being made; popup bake ls says how far it is")
		})
	}
	stderr := cmd.ErrOrStderr()
	operation, failed := c.Follow(cmd.Context(), operation, func(i api.Instance) { printProgress(stderr, i) })
	if f.json {
		return errors.Join(failed, f.print(cmd, operation, nil))
	}
	if failed != nil {
		return failed
	}
	all, err := c.Images(cmd.Context())
	if err != nil {
		return err
	}
	made := slices.IndexFunc(all.Bakes, func(b api.Bake) bool { return b.Event == operation.Event })
	if made < 0 {
		return nil
	}
	all.Images = slices.DeleteFunc(all.Images, func(i api.Image) bool { return i.ID != all.Bakes[made].Image })
	return f.print(cmd, operation, func(w io.Writer) { printImages(w, all.Images) })
}

func newBakeLsCommand() *cobra.Command {
	var f clientFlags
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "list the images that there are, and those that are made",
		Args:  cobra.NoArgs,
		RunE: asks(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			all, err := c.Images(cmd.Context())
			if err != nil {
				return err
			}
			if err := f.print(cmd, all, func(w io.Writer) { printImages(w, all.Images); printBakes(w, all.Bakes) }); err != nil {
				return err
			}
			if all.Failure != "" {
				return errors.New(client.Plain(all.Failure))
			}
			return nil
		}),
	}
	f.register(cmd)
	return cmd
}

func newBakeRmCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rm IMAGE",
		Short: "remove an image; what was launched from it goes on",
		Args:  cobra.ExactArgs(1),
		RunE: asks(func(cmd *cobra.Command, c *client.Client, args []string) error {
			return c.ForgetImage(cmd.Context(), args[0])
		}),
	}
}

func printImages(w io.Writer, all []api.Image) {
	for _, i := range all {
		is := "until " + i.Expires.UTC().Format(time.DateOnly)
		if !i.Ready {
			is = "not complete"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\tof %s\t%s\t%s\n", i.ID, oneLine(i.App), i.Cloud, i.Baked.UTC().Format("2006-01-02 15:04"), is, sooner(i.Times))
	}
}

// sooner says how much sooner instances are live from an image.
func sooner(t api.BootTimes) string {
	lasts := func(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }
	switch {
	case t.BakedCount == 0:
		return ""
	case t.Sooner == 0:
		return fmt.Sprintf("live after %s", lasts(t.Baked))
	}
	return fmt.Sprintf("live after %s, %s sooner than without", lasts(t.Baked), lasts(t.Sooner))
}

func printBakes(w io.Writer, all []api.Bake) {
	for _, b := range all {
		if b.State != string(console.BakeDone) {
			fmt.Fprintf(w, "%s\t%s\t%s\tof %s\t%s\n", b.State, oneLine(b.App), b.Cloud, b.Created.UTC().Format("2006-01-02 15:04"), oneLine(b.Failure))
		}
	}
}
