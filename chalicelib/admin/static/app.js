// What makes pages live; each of them works without.
"use strict";

// The browser knows the reader's zone: the first visit tells the server, which asks for it in `preferences`. A page that
// answers a form, or tells of a failure, marks no zone and is not read again: that would send the form, or the issuer's
// code, twice.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const root = document.querySelector("a.brand")?.getAttribute("href") ?? "./";
if (zone && !/(^|;\s*)zone=/.test(document.cookie)) {
  document.cookie = `zone=${zone}; path=${new URL(root, location).pathname.replace(/\/$/, "")}; max-age=31536000; samesite=lax`;
  const shown = document.querySelector("[data-zone]");
  if (shown && shown.dataset.zone !== zone && document.cookie.includes("zone=")) location.reload();
}

// Parts marked `data-live="seconds"` follow the server: the same page is read again and the parts of the same id are put
// in the place of the old ones. Not while hidden, and not under somebody's hands; not any more once none is live.
const live = [...document.querySelectorAll("[data-live][id]")];
if (live.length) {
  const seconds = Math.min(...live.map((part) => Number(part.dataset.live) || 5));
  const turns = setInterval(async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch(location.href, { headers: { "X-Live": "1" } });
      if (!answer.ok || answer.redirected) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      let held = false;
      for (const part of document.querySelectorAll("[data-live][id]")) {
        const other = fresh.getElementById(part.id);
        if (!other || part.innerHTML === other.innerHTML) continue;
        if (part.contains(document.activeElement)) held = true;
        else part.innerHTML = other.innerHTML;
      }
      if (!held && !fresh.querySelector("[data-live][id]")) clearInterval(turns);
    } catch { /* offline: the next turn tries again */ }
  }, seconds * 1000);
}

// Forms marked `data-preview="address"` show what the server makes of them, as one types.
for (const form of document.querySelectorAll("form[data-preview]")) {
  const target = document.getElementById(form.dataset.target);
  let wait, turn = 0;
  const show = async () => {
    const mine = ++turn;
    const answer = await fetch(form.dataset.preview, { method: "POST", body: new URLSearchParams(new FormData(form)) });
    const html = await answer.text();
    if (mine === turn && answer.ok) target.innerHTML = new DOMParser().parseFromString(html, "text/html").getElementById(target.id)?.innerHTML ?? "";
  };
  form.addEventListener("input", () => { clearTimeout(wait); wait = setTimeout(show, 400); });
  if (form.checkValidity()) show();
}
