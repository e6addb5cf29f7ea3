package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/spf13/cobra"

	"popup/web/api"
	"popup/web/client"
)

// loginFlags say how somebody signs in.
type loginFlags struct {
	clientFlags
	pin        string
	tokenStdin bool
	out        bool
}

func newLoginCommand() *cobra.Command {
	var f loginFlags
	cmd := &cobra.Command{
		Use:   "login URL",
		Short: "sign in to a console, for the verbs that ask one",
		Long: `login asks for your name and password, and has the console make a token, which is kept in
a file of yours, popup/login.json in $XDG_CONFIG_HOME or ~/.config, that nobody else may
read. --token-stdin takes a token that you made on the console's page of your account.

A console with a certificate of its own is known by its pin, which its Settings page says.

$POPUP_CONSOLE, $POPUP_TOKEN and $POPUP_PIN stand for a login in scripts. --out ends the
token, and forgets it.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := client.LoginFile()
			switch {
			case err != nil:
				return usageError{err}
			case f.out && len(args) == 0:
				return signOut(cmd, file)
			case f.out || len(args) == 0:
				return usageError{errors.New("say which console to sign in to, like popup login https://console.example.org; or popup login --out")}
			}
			return refused(f.signIn(cmd, file, args[0]))
		},
	}
	f.register(cmd)
	cmd.Flags().StringVar(&f.pin, "pin", "", "of the console's certificate, where no authority vouches for it")
	cmd.Flags().BoolVar(&f.tokenStdin, "token-stdin", false, "read a token from standard input, and ask for nothing")
	cmd.Flags().BoolVar(&f.out, "out", false, "sign out")
	cmd.MarkFlagsMutuallyExclusive("out", "token-stdin")
	cmd.MarkFlagsMutuallyExclusive("out", "pin")
	return cmd
}

func (f loginFlags) signIn(cmd *cobra.Command, file, url string) error {
	asking, err := client.New(client.Login{URL: url, Pin: f.pin})
	if err != nil {
		return usageError{err}
	}
	defer asking.Close()
	login := client.Login{URL: asking.URL(), Pin: f.pin}
	if login.Token, err = f.token(cmd, asking); err != nil {
		return err
	}
	c, err := client.New(login)
	if err != nil {
		return err
	}
	defer c.Close()
	me, err := c.Me(cmd.Context())
	if err != nil {
		return err
	}
	if err := login.Keep(file); err != nil {
		return err
	}
	return f.print(cmd, me, func(w io.Writer) { fmt.Fprintf(w, "signed in to %s as %s (%s)\n", login.URL, me.Name, me.Role) })
}

// token is the one that was given, or a new one.
func (f loginFlags) token(cmd *cobra.Command, c *client.Client) (string, error) {
	ask := prompt{cmd.InOrStdin(), cmd.ErrOrStderr()}
	if f.tokenStdin {
		ask.out = io.Discard
		return ask.line(cmd.Context(), "")
	}
	if _, ok := ask.terminal(); !ok {
		return "", usageError{errors.New("there is no terminal at which to ask for a password; give a token with --token-stdin")}
	}
	name, err := ask.line(cmd.Context(), "Name: ")
	if err != nil {
		return "", err
	}
	password, err := ask.password(cmd.Context(), "Password: ")
	if err != nil {
		return "", err
	}
	added, err := c.Login(cmd.Context(), api.Login{Name: name, Password: password, Title: tokenTitle()})
	return added.Secret, err
}

// tokenTitle is what a token is called in the list of one's own.
func tokenTitle() string {
	host, err := os.Hostname()
	if err != nil {
		return "popup login"
	}
	return "popup login on " + host
}

// signOut forgets a login, whatever its console says, and has that end the token.
func signOut(cmd *cobra.Command, file string) error {
	kept, err := client.ReadLogin(file)
	if err != nil {
		return usageError{err}
	}
	ended := endToken(cmd.Context(), kept)
	if err := client.Forget(file); err != nil {
		return errors.Join(err, ended)
	}
	if ended != nil {
		return fmt.Errorf("the token is forgotten here, but goes on being valid: %w; remove it on the page of your account", ended)
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), "signed out of", kept.URL)
	return err
}

func endToken(ctx context.Context, kept client.Login) error {
	c, err := client.New(kept)
	if err != nil {
		return err
	}
	defer c.Close()
	err = c.EndToken(ctx)
	var no *client.Error
	if errors.As(err, &no) && no.Status == http.StatusUnauthorized {
		return nil // it is over already
	}
	return err
}
