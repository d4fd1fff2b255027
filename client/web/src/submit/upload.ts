/** An upload that goes on where it stopped: after a lost connection by itself, after a closed page with the same file. */
import { reactive } from "vue";
import { ApiProblem, problemOf, sentenceOf } from "@/api/client";

/** As the service tells it. */
export interface UploadInfo {
  id: string;
  offset: number;
  size: number;
  complete: boolean;
}

const CHUNK = 8 * 1024 * 1024;
const REMEMBERED = "zordon.uploads";
const JSON_HEADERS = { Accept: "application/json", "Content-Type": "application/json" };

export type UploadState = "waiting" | "sending" | "interrupted" | "stopped" | "done" | "failed";

/** Which upload a file has, over loads of the page; the last few are enough. */
function remembered(): Record<string, string> {
  try {
    return JSON.parse(localStorage.getItem(REMEMBERED) ?? "{}") as Record<string, string>;
  } catch {
    return {};
  }
}

function remember(key: string, id: string | null): void {
  const all = Object.entries(remembered()).filter(([other]) => other !== key);
  if (id !== null) all.push([key, id]);
  localStorage.setItem(REMEMBERED, JSON.stringify(Object.fromEntries(all.slice(-20))));
}

export class Upload {
  readonly state = reactive({ name: "" as UploadState, sent: 0, size: 0, bytesPerSecond: 0, trouble: "" });
  id: string | null = null;
  #stop = new AbortController();
  readonly #key: string;

  constructor(
    readonly file: File,
    private readonly chunk = CHUNK,
  ) {
    this.state.name = "waiting";
    this.state.size = file.size;
    this.#key = `${file.name} ${file.size} ${file.lastModified}`;
  }

  /** Until everything is there, it was stopped, or the service refuses it. */
  async run(): Promise<void> {
    this.#stop = new AbortController();
    const { signal } = this.#stop;
    let pause = 500;
    this.state.trouble = "";
    while (!signal.aborted) {
      try {
        let offset = await this.#begin(signal);
        this.state.name = "sending";
        while (offset < this.file.size) {
          const before = performance.now();
          const next = await this.#send(offset, signal);
          const rate = ((next - offset) / Math.max(1, performance.now() - before)) * 1000;
          this.state.bytesPerSecond = this.state.bytesPerSecond === 0 ? rate : this.state.bytesPerSecond * 0.7 + rate * 0.3;
          this.state.sent = offset = next;
          pause = 500;
        }
        this.state.name = "done";
        return;
      } catch (error) {
        if (signal.aborted) break;
        if (error instanceof ApiProblem && error.status < 500 && error.status !== 409) {
          this.state.name = "failed";
          this.state.trouble = sentenceOf(error);
          return;
        }
        this.state.name = "interrupted";
        this.state.trouble = sentenceOf(error);
        await new Promise((resolve) => setTimeout(resolve, pause));
        pause = Math.min(pause * 2, 8000);
      }
    }
    this.state.name = "stopped";
  }

  stop(): void {
    this.#stop.abort();
  }

  /** Throw away what has come so far. */
  async forget(): Promise<void> {
    this.stop();
    remember(this.#key, null);
    if (this.id !== null) await fetch(`/api/uploads/${this.id}`, { method: "DELETE" });
  }

  /** A job has taken it: the same file dropped again is another upload. */
  taken(): void {
    remember(this.#key, null);
  }

  /** Where to go on; a new upload if there is none of this file. */
  async #begin(signal: AbortSignal): Promise<number> {
    const known = this.id ?? remembered()[this.#key] ?? null;
    if (known !== null) {
      const response = await fetch(`/api/uploads/${known}`, { headers: { Accept: "application/json" }, signal });
      if (response.ok) return this.#is((await response.json()) as UploadInfo);
      if (response.status >= 500) throw await problemOf(response);
      this.id = null;
    }
    const response = await fetch("/api/uploads", {
      method: "POST",
      headers: JSON_HEADERS,
      body: JSON.stringify({ name: this.file.name, size: this.file.size }),
      signal,
    });
    if (!response.ok) throw await problemOf(response);
    return this.#is((await response.json()) as UploadInfo);
  }

  #is(info: UploadInfo): number {
    this.id = info.id;
    this.state.sent = info.offset;
    remember(this.#key, info.id);
    return info.offset;
  }

  async #send(offset: number, signal: AbortSignal): Promise<number> {
    const response = await fetch(`/api/uploads/${this.id}`, {
      method: "PATCH",
      headers: { Accept: "application/json", "Content-Type": "application/offset+octet-stream", "Upload-Offset": String(offset) },
      body: this.file.slice(offset, offset + this.chunk),
      signal,
    });
    if (!response.ok) throw await problemOf(response);
    return ((await response.json()) as UploadInfo).offset;
  }
}
