(function () {
  "use strict";
  var box = document.getElementById("boot");
  // A GET of the same address, even when this page answered a form.
  function again() { location.replace(location.href); }
  if (!window.EventSource) { setTimeout(again, 3000); return; }
  var events = new EventSource("/.well-known/popup/events");
  var last = "";
  events.addEventListener("phases", function (e) {
    if (e.data !== last) { last = e.data; box.innerHTML = JSON.parse(e.data); }
  });
  events.addEventListener("ready", function () { events.close(); again(); });
  events.onerror = function () {
    if (events.readyState === EventSource.CLOSED) { setTimeout(again, 3000); }
  };
})();
