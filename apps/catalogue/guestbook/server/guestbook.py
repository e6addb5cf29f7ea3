"""A guestbook: Python's standard library and SQLite.

Told by its environment: PORT and HOST (where to listen; HOST is 127.0.0.1 when
it is not given), STATE_DIR (where the book lies), GUESTBOOK_TITLE,
GUESTBOOK_WELCOME, and GUESTBOOK_KEY (signs the forms). SIGTERM lets running
answers end. "guestbook.py snapshot" writes a whole copy for a backup.
"""

import contextlib
import hashlib
import hmac
import http.cookies
import http.server
import os
import re
import secrets
import signal
import sqlite3
import sys
import threading
import time
import urllib.parse

import page
from book import Book, Refused

BODY_MAX = 32 << 10  # bytes of a form
FORM_AGE = 24 * 3600  # seconds a form may lie open
SLOW = 10  # seconds a visitor may pause within a request
TOGETHER = 64  # requests answered at once; who comes then waits

HERE = os.path.dirname(os.path.abspath(__file__))
FILES = {"/style.css": "text/css; charset=utf-8", "/icon.svg": "image/svg+xml"}
POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"


class Forms:
    """Ties a form to the browser it was given to, so that no other site can send one."""

    def __init__(self, key):
        self.key = key.encode()

    def token(self, visitor, at=None):
        at = int(time.time() if at is None else at)
        return f"{at}.{self._sign(visitor, at)}"

    def accepts(self, visitor, token):
        m = re.fullmatch(r"(\d{1,12})\.([0-9a-f]{64})", token)
        if not visitor or not m:
            return False
        return 0 <= time.time() - int(m[1]) <= FORM_AGE and hmac.compare_digest(m[2], self._sign(visitor, int(m[1])))

    def _sign(self, visitor, at):
        return hmac.new(self.key, f"{visitor} {at}".encode(), hashlib.sha256).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = False  # closing waits for running answers
    request_queue_size = 128

    def __init__(self, address, book, forms, title, welcome):
        self.book, self.forms, self.title, self.welcome = book, forms, title, welcome
        self.free = threading.BoundedSemaphore(TOGETHER)
        super().__init__(address, Handler)

    def process_request(self, request, client_address):
        self.free.acquire()
        try:
            super().process_request(request, client_address)
        except BaseException:
            self.free.release()
            raise

    def process_request_thread(self, request, client_address):
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.free.release()


class Handler(http.server.BaseHTTPRequestHandler):
    timeout = SLOW
    server_version, sys_version = "guestbook", ""

    def do_GET(self):
        self.answer(self.get)

    def do_HEAD(self):
        self.answer(self.get)

    def do_POST(self):
        self.answer(self.post)

    def answer(self, handle):
        try:
            handle(urllib.parse.urlsplit(self.path))
        except (sqlite3.Error, OSError) as err:
            if isinstance(err, (BrokenPipeError, ConnectionError, TimeoutError)):
                self.close_connection = True
                return
            print(f"guestbook: {self.command} {self.path.split('?')[0]!r}: {err}", file=sys.stderr, flush=True)
            self.problem(500, "Something broke", "The book could not be read or written just now. Please try again in a minute.")

    def get(self, url):
        if url.path == "/healthz":
            self.send(200, f"guestbook is open: {self.server.book.count()} entries\n", "text/plain; charset=utf-8")
        elif url.path in FILES:
            with open(HERE + url.path, encoding="utf-8") as f:
                self.send(200, f.read(), FILES[url.path])
        elif url.path == "/":
            asked = urllib.parse.parse_qs(url.query[:200])
            before = asked.get("before", ["0"])[0]
            if not re.fullmatch(r"[0-9]{1,15}", before):
                self.problem(404, "No such page", "Entries are counted in whole numbers.")
                return
            self.show(200, int(before), thanks="thanks" in asked)
        else:
            self.problem(404, "No such page", "The guestbook has one page only.")

    def post(self, url):
        if url.path != "/sign":
            self.problem(404, "No such page", "Forms go to the guestbook's own page.")
            return
        fields = self.form()
        if fields is None:
            return
        name, message = fields.get("name", ""), fields.get("message", "")
        if not self.server.forms.accepts(self.visitor(), fields.get("token", "")):
            why = "This form lay open for too long, or your browser keeps no cookies. Your words are still here: please send them once more."
            self.show(403, name=name, message=message, problem=why)
            return
        try:
            self.server.book.sign(name, message)
        except Refused as err:
            self.show(422, name=name, message=message, problem=str(err))
            return
        self.send(303, "", location="./?thanks=1")

    def form(self):
        """The fields of a form; None when an answer was sent instead."""
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch(r"[0-9]{1,12}", length):
            self.problem(411, "How long is it?", "A form is sent with its length.")
            return None
        if int(length) > BODY_MAX:
            self.problem(413, "That is too much", f"A form may have {BODY_MAX >> 10} KiB.")
            return None
        body = self.rfile.read(int(length)).decode("utf-8", "replace")
        try:
            fields = urllib.parse.parse_qs(body, keep_blank_values=True, max_num_fields=10)
        except ValueError:
            self.problem(400, "That is no form", "It has more fields than this guestbook knows.")
            return None
        return {name: values[0] for name, values in fields.items()}

    def show(self, status, before=0, name="", message="", problem="", thanks=False):
        visitor = self.visitor() or secrets.token_urlsafe(18)
        form = "" if before else page.form(self.server.forms.token(visitor), name, message, problem, thanks)
        entries, older = self.server.book.page(before)
        text = page.book(self.server.title, self.server.welcome, entries, self.server.book.count(), older, before, form)
        self.send(status, text, visitor="" if self.visitor() else visitor)

    def visitor(self):
        """Who the browser says it is; empty when it has not been told yet."""
        with contextlib.suppress(http.cookies.CookieError):
            cookie = http.cookies.SimpleCookie(self.headers.get("Cookie", "")).get("guestbook")
            if cookie and re.fullmatch(r"[A-Za-z0-9_-]{24}", cookie.value):
                return cookie.value
        return ""

    def problem(self, status, what, why):
        self.send(status, page.problem(self.server.title, what, why))

    def send(self, status, text, kind="text/html; charset=utf-8", visitor="", location=""):
        body = text.encode("utf-8", "replace")
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "same-origin")
        self.send_header("Cache-Control", "no-store" if kind.startswith("text/html") else "no-cache")
        if location:
            self.send_header("Location", location)
        if visitor:
            secure = "; Secure" if self.headers.get("X-Forwarded-Proto") == "https" else ""
            self.send_header("Set-Cookie", f"guestbook={visitor}; Path=/; HttpOnly; SameSite=Lax; Max-Age=86400{secure}")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *args):
        pass  # the front in front of this app keeps the access log


class BadSetting(Exception):
    """The environment is not what the app needs."""


def setting(name, form, help):
    value = os.environ.get(name, "")
    if not re.fullmatch(form, value, re.DOTALL):
        raise BadSetting(f"{name} {'is not set' if not value else 'is not right'}: {help}")
    return value


def open_book():
    return Book(setting("STATE_DIR", r"/.+", "give the folder that keeps the book, as a full path"))


def make_server():
    book = open_book()
    port = int(setting("PORT", r"[0-9]{1,5}", "give the port to listen on"))
    key = setting("GUESTBOOK_KEY", r".{16,}", "give at least 16 characters that nobody can guess")
    title = os.environ.get("GUESTBOOK_TITLE", "") or "Guestbook"
    try:
        print(f"guestbook: {book.open()}", file=sys.stderr, flush=True)
    except (sqlite3.Error, OSError) as err:
        raise OSError(f"open {book.path}: {err}") from err
    return Server((os.environ.get("HOST", "127.0.0.1"), port), book, Forms(key), title, os.environ.get("GUESTBOOK_WELCOME", ""))


def serve(server):
    def stop(*_):
        threading.Thread(target=server.shutdown).start()  # waits for the loop below, so not from here

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    with server:
        print("guestbook: listening on http://%s:%d" % server.server_address[:2], file=sys.stderr, flush=True)
        server.serve_forever(poll_interval=0.1)


def main(args):
    try:
        if args == ["snapshot"]:
            open_book().snapshot()
        elif args:
            raise BadSetting("usage: guestbook.py [snapshot]")
        else:
            serve(make_server())
    except BadSetting as err:
        print(f"guestbook: {err}", file=sys.stderr)
        return 2
    except (OSError, sqlite3.Error, OverflowError) as err:
        print(f"guestbook: {err}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
