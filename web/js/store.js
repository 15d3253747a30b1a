// What the whole page knows, and who is told when it changes. Everything here comes from the house.

export const store = {
  session: null, // the answer of /api/session
  state: "idle", // of the WebSocket: idle, connecting, open, waiting, closed
  me: null, // a Person
  mine: new Set(), // all numbers that were me since the page was opened: a reconnection gives a new one
  people: new Map(), // id → Person
};

const listeners = new Map();

/** Returns a function that ends the listening. */
export function on(event, f) {
  if (!listeners.has(event)) listeners.set(event, new Set());
  listeners.get(event).add(f);
  return () => listeners.get(event)?.delete(f);
}

export function emit(event, data) {
  for (const f of listeners.get(event) ?? []) {
    // One broken view must not keep the others from hearing.
    try { f(data); } catch (error) { console.error(error); }
  }
}

/** The bot is a person like any other; only how one speaks to it differs. */
export const isBot = (person) => person?.service === "house";
export const isMe = (id) => store.mine.has(id);
export const isAdmin = () => Boolean(store.session?.admin);

on("ws:welcome", (message) => {
  store.me = message.me;
  store.mine.add(message.me.id);
  store.people = new Map((message.people ?? []).map((person) => [person.id, person]));
  store.people.set(message.me.id, message.me);
  emit("people");
});

on("ws:people", (message) => {
  for (const person of message.came ?? []) store.people.set(person.id, person);
  for (const id of message.went ?? []) store.people.delete(id);
  emit("people");
});
