"use strict";

// The demo chat: a feed followed by EventSource, and a POST to say something.
(() => {
  const chat = document.getElementById("chat");
  if (!chat) return;
  const path = `/v1/meetings/${chat.dataset.meeting}/messages`;
  const list = document.getElementById("messages");
  const state = document.getElementById("state");
  const names = new Map();

  const nameOf = async (userId) => {
    if (!names.has(userId)) {
      names.set(userId, fetch(`/v1/users/${userId}`).then((r) => (r.ok ? r.json() : null)).then((u) => u?.displayName ?? userId));
    }
    return names.get(userId);
  };

  // An edited or deleted message comes again with the same id.
  const show = async (message) => {
    const name = await nameOf(message.userId);
    let item = document.getElementById(message.id);
    if (!item) {
      item = document.createElement("li");
      item.id = message.id;
      list.append(item);
    }
    const author = document.createElement("b");
    author.textContent = name;
    item.replaceChildren(author, " ", message.deletedAt ? "(deleted)" : message.content);
    item.scrollIntoView({ block: "nearest" });
  };

  const follow = () => {
    let queue = Promise.resolve();
    const source = new EventSource(path);
    source.addEventListener("ready", () => { state.textContent = "live"; });
    source.addEventListener("items", (e) => {
      for (const message of JSON.parse(e.data).items) queue = queue.then(() => show(message));
    });
    source.addEventListener("problem", (e) => { state.textContent = JSON.parse(e.data).detail; });
    // A refusal closes an EventSource for good; a broken connection does not.
    source.onerror = () => {
      state.textContent = source.readyState === EventSource.CLOSED ? "You are not in this meeting: be Ada or Grace." : "connecting…";
    };
  };

  const start = async () => {
    const answer = await fetch("/v1/me");
    if (!answer.ok) return;
    const me = await answer.json();
    document.getElementById("who").textContent = `You are ${me.displayName}. Open this page in another browser to be somebody else.`;
    document.getElementById("post").hidden = false;
    follow();
  };

  document.getElementById("post").addEventListener("submit", async (e) => {
    e.preventDefault();
    const input = document.getElementById("content");
    const answer = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", "Idempotency-Key": `${Date.now()}-${Math.random()}` },
      body: JSON.stringify({ content: input.value }),
    });
    if (answer.ok) input.value = "";
    else state.textContent = (await answer.json()).detail;
  });

  start();
})();
