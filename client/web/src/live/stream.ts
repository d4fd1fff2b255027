/**
 * Follows the job list: the event stream, or long-polling where something on the way keeps the stream back.
 *
 * The service sends a comment every 15 seconds, so silence means that the connection is gone, whatever the socket says.
 */
import { createParser } from "eventsource-parser";
import { ApiProblem, type JobDelta, problemOf, type Schemas } from "@/api/client";

export interface Listener {
  delta(delta: JobDelta): void;
  /** Something arrived: what was told so far is how it is. */
  alive(): void;
  /** Nothing arrives any more; it is tried again. */
  lost(why: unknown): void;
}

const SILENCE = 35_000;
const FIRST_BYTE = 8_000;
const LONGEST_PAUSE = 8_000;

export class LiveStream {
  #stop = new AbortController();
  /** Ends what is under way, or the pause before the next try. */
  #kick = new AbortController();
  #polls = false;

  constructor(
    readonly listener: Listener,
    private token: string | null = null,
    private readonly firstByte = FIRST_BYTE,
    private readonly silence = SILENCE,
  ) {}

  /** Until {@link stop}. Resolves when it has stopped, or when we are not let in (any more). */
  async run(): Promise<void> {
    const { signal } = this.#stop;
    let pause = 500;
    while (!signal.aborted) {
      try {
        if (this.token === null) await this.#first(signal);
        const told = this.#polls ? await this.#poll(signal) : await this.#listen(signal);
        pause = told ? 500 : pause;
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof ApiProblem && error.status === 401) throw error;
        this.listener.lost(error);
      }
      if (signal.aborted) return;
      if (!this.#polls || pause > 500) await rest(pause, AbortSignal.any([signal, this.#kick.signal]));
      pause = Math.min(pause * 2, LONGEST_PAUSE);
    }
  }

  /** The network has come or gone: try again now. */
  kick(): void {
    const before = this.#kick;
    this.#kick = new AbortController();
    before.abort(new Error("the network has changed"));
  }

  stop(): void {
    this.#stop.abort();
  }

  get #query(): string {
    return this.token === null ? "" : `token=${encodeURIComponent(this.token)}`;
  }

  /** The whole list, which is compressed where the stream would not be. */
  async #first(signal: AbortSignal): Promise<void> {
    const response = await fetch("/api/jobs", { headers: { Accept: "application/json" }, cache: "no-store", signal });
    if (!response.ok) throw await problemOf(response);
    const { jobs, token } = (await response.json()) as Schemas["JobList"];
    this.listener.alive();
    this.#take({ jobs, token, gone: [], full: true });
  }

  /** The event stream until it ends. Resolves with whether anything came. */
  async #listen(outer: AbortSignal): Promise<boolean> {
    const guard = new AbortController();
    const signal = AbortSignal.any([outer, guard.signal, this.#kick.signal]);
    let timer = setTimeout(() => guard.abort(new Error("the event stream is held back")), this.firstByte);
    let came = false;
    try {
      const response = await fetch(`/api/events?${this.#query}`, {
        headers: { Accept: "text/event-stream, application/problem+json" },
        cache: "no-store",
        signal,
      });
      if (!response.ok || response.body === null) throw await problemOf(response);
      const parser = createParser({ onEvent: (event) => this.#take(JSON.parse(event.data) as JobDelta) });
      const decoder = new TextDecoder();
      const reader = response.body.getReader();
      for (;;) {
        const { done, value } = await reader.read();
        clearTimeout(timer);
        if (done) break;
        came = true;
        timer = setTimeout(() => guard.abort(new Error("nothing was heard for a while")), this.silence);
        this.listener.alive();
        parser.feed(decoder.decode(value, { stream: true }));
      }
      throw new Error("the service ended the stream");
    } catch (error) {
      if (!came && guard.signal.aborted) {
        this.#polls = true;
        return true;
      }
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async #poll(outer: AbortSignal): Promise<boolean> {
    const response = await fetch(`/api/jobs/long_poll?delta=true&${this.#query}`, {
      headers: { Accept: "application/json" },
      cache: "no-store",
      signal: AbortSignal.any([outer, this.#kick.signal, AbortSignal.timeout(this.silence + 10_000)]),
    });
    if (!response.ok) throw await problemOf(response);
    this.listener.alive();
    if (response.status !== 204) this.#take((await response.json()) as JobDelta);
    return true;
  }

  #take(delta: JobDelta): void {
    this.token = delta.token;
    this.listener.delta(delta);
  }
}

function rest(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
