// Keeps a page that changes up to date; without it, reload the page.
(function () {
  "use strict";
  var main = document.querySelector("main[data-live]"), last = "";
  if (!main || !window.fetch) return;
  function look() {
    if (document.hidden) return again();
    fetch(location.href, { headers: { Accept: "text/html" }, credentials: "same-origin", cache: "no-store" }).then(function (r) {
      return r.ok ? r.text() : Promise.reject(r.status);
    }).then(function (text) {
      var next = new DOMParser().parseFromString(text, "text/html").querySelector("main[data-live]");
      if (next && next.innerHTML !== last && !main.contains(document.activeElement.closest("a, button, [tabindex='0']"))) {
        last = next.innerHTML;
        main.replaceChildren.apply(main, Array.from(next.childNodes));
      }
      again();
    }).catch(again);
  }
  function again() { setTimeout(look, 2000); }
  again();
})();
