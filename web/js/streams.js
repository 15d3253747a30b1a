// The streams that are open on the WebSocket. Each `watch` gets a number of its own, so that a frame that was
// still on its way when a stream was stopped is never taken for one of the next.

import { on } from "./store.js";
import { send } from "./connection.js";

export const MOST = 16;
const open = new Map();
let next = 1;

/** `handlers`: `stream(message)`, `frame(frame)`, `end(message)`, `lost()`. The number, or 0 while there is no connection. */
export function watch(request, handlers) {
  const stream = next++;
  if (!send({ type: "watch", stream, ...request })) return 0;
  open.set(stream, handlers);
  return stream;
}

export function stop(stream) {
  if (open.delete(stream)) send({ type: "stop", stream });
}

export const openStreams = () => open.size;

export function frame(stream, data) {
  open.get(stream)?.frame?.(data);
}

/** The connection is gone, and all streams with it. */
export function lost() {
  const all = [...open.values()];
  open.clear();
  for (const handlers of all) handlers.lost?.();
}

on("ws:stream", (message) => open.get(message.stream)?.stream?.(message));
on("ws:end", (message) => {
  const handlers = open.get(message.stream);
  open.delete(message.stream);
  handlers?.end?.(message);
});
