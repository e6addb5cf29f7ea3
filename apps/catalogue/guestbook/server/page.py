"""The pages, as HTML. Everything a visitor wrote goes through esc."""

import html
import time

from book import MESSAGE_MAX, NAME_MAX


def esc(text):
    return html.escape(text, quote=True)


def layout(title, body):
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{esc(title)}</title>
<link rel="icon" href="icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="style.css">
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def book(title, welcome, entries, count, older, before, form):
    """The book at a place: entries, a link to older ones, and on the first page the form."""
    head = f'<header><h1><a href="./">{esc(title)}</a></h1><p class="soft">{esc(welcome)}</p></header>'
    items = "".join(entry(*row) for row in entries) or "<p>Nobody has written yet. You could be the first.</p>"
    links = ('<a href="./">Newest entries</a>' if before else "") + (
        f'<a href="./?before={entries[-1][0]}">Older entries</a>' if older else ""
    )
    near = f'<nav aria-label="More entries">{links}</nav>' if links else ""
    what = "1 entry" if count == 1 else f"{count:,} entries"
    return layout(title, f'{head}{form}<section aria-label="Entries"><p class="soft">{what}</p>{items}{near}</section>')


def entry(number, at, name, message):
    when = time.gmtime(at)
    return (
        f'<article id="e{number}"><h2 dir="auto">{esc(name)}</h2>'
        f'<p class="soft"><time datetime="{time.strftime("%Y-%m-%dT%H:%M:%SZ", when)}">{time.strftime("%Y-%m-%d %H:%M", when)} UTC</time></p>'
        f'<p class="message" dir="auto">{esc(message)}</p></article>'
    )


def form(token, name="", message="", problem="", thanks=False):
    """The form; problem says why it stands here again."""
    note = '<p class="note" role="status">Thank you, it is in the book.</p>' if thanks else ""
    if problem:
        note = f'<p class="note problem" role="alert" id="problem">{esc(problem)}</p>'
    described = ' aria-describedby="problem"' if problem else ""
    return (
        f'<form method="post" action="./sign"{described}>{note}<input type="hidden" name="token" value="{esc(token)}">'
        f'<label for="name">Your name</label><input id="name" name="name" required maxlength="{NAME_MAX}" autocomplete="nickname" value="{esc(name)}">'
        f'<label for="message">Your message</label><textarea id="message" name="message" required maxlength="{MESSAGE_MAX}" rows="4">\n{esc(message)}</textarea>'
        "<button>Write it into the book</button></form>"
    )


def problem(title, what, why):
    return layout(title, f'<h1>{esc(what)}</h1><p class="soft">{esc(why)}</p><p><a href="./">To the guestbook</a></p>')
