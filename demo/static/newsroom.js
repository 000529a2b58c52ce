// Fetches the box on the front page, and renews the session on the account page.
"use strict";

// A program that is not signed in gets 401 and where to sign in, not a redirect.
async function json(address, options = {}) {
  const answer = await fetch(address, { headers: { Accept: "application/json" }, ...options });
  const body = await answer.json();
  if (!answer.ok) {
    throw Object.assign(new Error(body.title || `status ${answer.status}`), { signIn: body.login_url });
  }
  return body;
}

function explain(note, error) {
  note.replaceChildren(error.signIn ? "Your session has ended. " : `That did not work: ${error.message}.`);
  if (error.signIn) {
    const address = new URL(error.signIn, location.href);
    address.searchParams.set("next", location.pathname + location.search);
    const link = document.createElement("a");
    link.href = address;
    link.textContent = "Sign in again";
    note.append(link);
  }
}

function clock(date) {
  return date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
}

function wireItem(line) {
  const item = document.createElement("li");
  const time = document.createElement("time");
  time.dateTime = line.sent;
  time.textContent = clock(new Date(line.sent));
  const text = document.createElement("span");
  text.textContent = line.text;
  const source = document.createElement("span");
  source.className = "hint";
  source.textContent = line.source;
  item.append(time, " ", text, " ", source);
  return item;
}

const wire = document.getElementById("wire");
if (wire) {
  const note = document.getElementById("wire-note");
  const again = document.getElementById("wire-again");
  const load = async () => {
    try {
      const latest = await json(wire.dataset.headlines);
      wire.replaceChildren(...latest.wire.map(wireItem));
      note.textContent = `As of ${clock(new Date())}`;
    } catch (error) {
      explain(note, error);
    }
    again.hidden = false;
  };
  again.addEventListener("click", load);
  load();
}

const renew = document.getElementById("renew");
if (renew) {
  const note = document.getElementById("renew-note");
  renew.addEventListener("click", async () => {
    try {
      const session = await json(renew.dataset.refresh, { method: "POST" });
      const until = clock(new Date(session.expires_at * 1000));
      document.getElementById("expires").textContent = until;
      note.textContent = `Renewed: the new access token is good until ${until}.`;
    } catch (error) {
      explain(note, error);
    }
  });
}
