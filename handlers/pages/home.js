"use strict";

// The demo chat: a feed followed by EventSource, and a POST to say something.
(() => {
  const chat = document.getElementById("chat");
  if (!chat) return;
  const path = `/v1/meetings/${chat.dataset.meeting}/messages`;
  const list = document.getElementById("messages");
  const state = document.getElementById("state");
  const post = document.getElementById("post");
  const names = new Map();

  const nameOf = async (userId) => {
    if (!names.has(userId)) {
      names.set(userId, fetch(`/v1/users/${userId}`).then((r) => (r.ok ? r.json() : null)).then((u) => u?.displayName ?? userId));
    }
    return names.get(userId);
  };

  // An edited or deleted message comes again with the same id.
  const show = async (message) => {
    const name = message.system ? "" : await nameOf(message.userId);
    let item = document.getElementById(message.id);
    if (!item) {
      item = document.createElement("li");
      item.id = message.id;
      list.append(item);
    }
    item.className = message.system ? "system" : "";
    const author = document.createElement("b");
    author.textContent = name;
    item.replaceChildren(author, " ", message.deletedAt ? "(deleted)" : message.content);
    item.scrollIntoView({ block: "nearest" });
  };

  // A refusal closes an EventSource for good; a broken connection does not.
  const refused = async () => {
    const answer = await fetch(path).catch(() => null);
    const problem = answer && !answer.ok ? await answer.json() : null;
    if (problem?.status === 404) return "You are not in this meeting: be Ada or Grace.";
    return problem?.detail ?? "The stream has ended; reload the page.";
  };

  const follow = () => {
    let queue = Promise.resolve();
    const source = new EventSource(path);
    source.addEventListener("ready", () => {
      state.textContent = "live";
      list.dataset.empty = "Nobody has said anything yet.";
      post.hidden = false;
    });
    source.addEventListener("items", (e) => {
      for (const message of JSON.parse(e.data).items) queue = queue.then(() => show(message));
    });
    source.addEventListener("problem", (e) => { state.textContent = JSON.parse(e.data).detail; });
    source.onerror = async () => {
      state.textContent = source.readyState === EventSource.CLOSED ? await refused() : "connecting…";
    };
  };

  const start = async () => {
    const answer = await fetch("/v1/me");
    if (!answer.ok) return;
    const me = await answer.json();
    document.getElementById("who").textContent = `You are ${me.displayName}. Open this page in another browser to be somebody else.`;
    list.dataset.empty = "";
    follow();
  };

  // The key stays until there is an answer, so that sending again posts once.
  let key = null;
  post.addEventListener("submit", async (e) => {
    e.preventDefault();
    const input = document.getElementById("content");
    const body = JSON.stringify({ content: input.value });
    if (key?.body !== body) key = { body, value: `${Date.now()}-${Math.random()}` };
    const answer = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", "Idempotency-Key": key.value },
      body,
    }).catch(() => null);
    if (!answer) {
      state.textContent = "Not sent: the server does not answer. Send it again.";
      return;
    }
    key = null;
    if (answer.ok) input.value = "";
    else state.textContent = (await answer.json()).detail;
  });

  start();
})();
