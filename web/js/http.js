// Requests to the house. An error is always an Error whose message is a sentence that can be shown.

import { emit } from "./store.js";

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export async function api(path, { method = "GET", body, signal } = {}) {
  let response;
  try {
    response = await fetch(path, {
      method, signal, credentials: "same-origin",
      headers: body === undefined ? {} : { "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "The house cannot be reached.");
  }
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => null);
  if (response.ok) return answer;
  if (response.status === 401 && path !== "/api/session") emit("signed-out");
  throw new Refused(response.status, answer?.error || `The house refused (${response.status}).`);
}

/** A path of parts that may hold anything, slashes included. */
export const path = (...parts) => parts.map((part) => encodeURIComponent(part)).join("/");
