// What the console's pages do better with a script: parts that renew themselves, buttons
// that copy, days that are one tap away. Everything works without it.
(function () {
  "use strict";

  var live = Array.prototype.slice.call(document.querySelectorAll("[data-live]"));
  var asked = {}; // by part: it is being fetched
  var later = {}; // by part: the timer by which it is asked for again

  function speak(text) { document.getElementById("spoken").textContent = text; }

  // What a person opened, or is at, is as it was after a part was renewed.
  function renew(part, html) {
    if (part.innerHTML === html) return;
    var open = [], scrolled = [], at = document.activeElement, id = "", inside = part.contains(at);
    part.querySelectorAll("details").forEach(function (d, i) { if (d.open) open.push(i); });
    part.querySelectorAll("pre").forEach(function (p, i) { scrolled[i] = p.scrollTop; });
    if (inside) {
      if (/^(INPUT|SELECT|TEXTAREA)$/.test(at.tagName)) return; // not while somebody types
      id = at.id || at.getAttribute("href") || "";
    }
    part.innerHTML = html;
    part.querySelectorAll("details").forEach(function (d, i) { if (open.indexOf(i) >= 0) d.open = true; });
    part.querySelectorAll("pre").forEach(function (p, i) { if (scrolled[i]) p.scrollTop = scrolled[i]; });
    if (inside && id) {
      var again = part.querySelectorAll("[id],[href]");
      for (var i = 0; i < again.length; i++) {
        if (again[i].id === id || again[i].getAttribute("href") === id) { again[i].focus({ preventScroll: true }); break; }
      }
    }
    prepare(part);
  }

  function fetchPart(part) {
    var name = part.dataset.live;
    if (document.hidden) return;
    if (asked[name]) { asked[name] = "again"; return; }
    asked[name] = "once";
    clearTimeout(later[name]);
    delete later[name];
    function retry() { later[name] = setTimeout(function () { fetchPart(part); }, 3000); }
    var at = new URL(location.href);
    at.searchParams.set("fragment", name);
    fetch(at, { credentials: "same-origin", headers: { Accept: "text/html" } }).then(function (answer) {
      if (answer.status === 401 || answer.redirected) { location.reload(); return; }
      if (answer.status === 503) { retry(); return; }
      if (!answer.ok) return;
      return answer.text().then(function (html) { renew(part, html.trim()); }, retry);
    }, retry).finally(function () {
      var again = asked[name] === "again" && !later[name];
      delete asked[name];
      if (again) fetchPart(part);
    });
  }

  // Many changes at once are one look, and a busy fleet is looked at once a second.
  var soon = 0, looked = 0;
  function changed() {
    if (soon) return;
    soon = setTimeout(function () { soon = 0; looked = Date.now(); live.forEach(fetchPart); }, Math.max(250, looked + 1000 - Date.now()));
  }

  // The stream: open while the tab is seen, and continued where it was left.
  var stream, newest = document.body.dataset.after;
  function follow() {
    var at = document.body.dataset.stream;
    if (!at || stream || document.hidden || !window.EventSource) return;
    stream = new EventSource(at + (at.indexOf("?") < 0 ? "?" : "&") + "after=" + encodeURIComponent(newest));
    function heard(e) { if (e.lastEventId) newest = e.lastEventId; changed(); }
    stream.onmessage = heard;
    stream.addEventListener("change", heard);
    stream.addEventListener("reload", function () { leave(); location.reload(); });
    stream.onerror = function () {
      if (stream && stream.readyState === EventSource.CLOSED) { leave(); setTimeout(follow, 5000); }
    };
  }
  function leave() { if (stream) { stream.close(); stream = null; } }
  document.addEventListener("visibilitychange", function () {
    if (document.hidden) { leave(); } else { changed(); follow(); }
  });
  window.addEventListener("pagehide", leave);
  window.addEventListener("pageshow", function (e) { if (e.persisted) { changed(); follow(); } });
  if (live.length) follow();
  live.forEach(function (part) {
    var every = Number(part.dataset.every);
    if (every) setInterval(function () { fetchPart(part); }, every * 1000);
  });

  function day(d) {
    function two(n) { return (n < 10 ? "0" : "") + n; }
    return d.getFullYear() + "-" + two(d.getMonth() + 1) + "-" + two(d.getDate());
  }

  function prepare(root) {
    root.querySelectorAll("[data-copy]").forEach(function (button) {
      if (!navigator.clipboard) return;
      button.hidden = false;
      var words = button.innerHTML;
      button.addEventListener("click", function () {
        navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim()).then(function () {
          button.textContent = "Copied";
          speak("Copied");
          setTimeout(function () { button.innerHTML = words; speak(""); }, 2000);
        });
      });
    });
    root.querySelectorAll("[data-print]").forEach(function (button) {
      button.hidden = false;
      button.addEventListener("click", function () { print(); });
    });
    root.querySelectorAll("form[data-confirm]").forEach(function (form) {
      var button = form.querySelector("button"), input = form.querySelector("input[name=name]");
      function look() { button.disabled = input.value.trim() !== form.dataset.confirm; }
      input.addEventListener("input", look);
      look();
    });
    root.querySelectorAll("[data-presets]").forEach(function (presets) {
      var date = document.getElementById(presets.dataset.presets), time = document.getElementById(presets.dataset.time);
      presets.hidden = false;
      presets.querySelectorAll("[data-preset]").forEach(function (button) {
        button.addEventListener("click", function () {
          var d = new Date();
          if (button.dataset.preset === "week") d.setDate(d.getDate() + 7);
          if (button.dataset.preset === "month") d = new Date(d.getFullYear(), d.getMonth() + 1, 0);
          date.value = day(d);
          time.value = button.dataset.preset === "today" ? "22:00" : "";
          speak("Ends " + date.value + " " + time.value);
        });
      });
      // A zone that nobody chose is the browser's own.
      var zone = document.getElementById(presets.dataset.zone);
      if (zone && (zone.value === "" || zone.value === "UTC")) {
        try { zone.value = Intl.DateTimeFormat().resolvedOptions().timeZone || zone.value; } catch (e) { /* UTC it is */ }
      }
    });
  }
  prepare(document);

  // One tap, one launch.
  document.addEventListener("submit", function (e) {
    if (e.target.dataset.sent) { e.preventDefault(); return; }
    if (e.target.method === "post") e.target.dataset.sent = "yes";
  });
  window.addEventListener("pageshow", function () {
    document.querySelectorAll("form[data-sent]").forEach(function (form) { delete form.dataset.sent; });
  });

  var problems = document.getElementById("problems");
  if (problems) problems.focus();
}());
