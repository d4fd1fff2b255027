import { describe, expect, it } from "vitest";
import type { JobDelta } from "@/api/client";
import { LiveStream } from "@/live/stream";
import { json, serve } from "./server";

const delta = (token: string, more: Partial<JobDelta> = {}): JobDelta => ({ jobs: [], gone: [], full: false, token, ...more });

/** What a stream tells, one thing after the other. */
function heard() {
  const things: string[] = [];
  const waiting: (() => void)[] = [];
  const note = (thing: string): void => {
    things.push(thing);
    for (const wake of waiting.splice(0)) wake();
  };
  return {
    listener: {
      delta: (told: JobDelta) => note(`${told.token}${told.full ? " full" : ""}`),
      alive: () => undefined,
      lost: () => note("lost"),
    },
    async until(thing: string): Promise<string[]> {
      while (!things.includes(thing)) await new Promise<void>((resolve) => waiting.push(resolve));
      return things;
    },
  };
}

describe("the live job list", () => {
  it("is asked for whole, then followed, and goes on behind a lost connection where it was", async () => {
    const asked: string[] = [];
    await serve((request, response) => {
      asked.push(request.url ?? "");
      if (request.url === "/api/jobs") return json(response, { jobs: [], token: "t1" });
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      if (request.url === "/api/events?token=t1") response.end(`:\n\nid: t2\nevent: jobs\ndata: ${JSON.stringify(delta("t2"))}\n\n`);
      else response.write(`:\n\nid: t3\nevent: jobs\ndata: ${JSON.stringify(delta("t3"))}\n\n`);
    });
    const { listener, until } = heard();
    const stream = new LiveStream(listener);
    const over = stream.run();
    expect(await until("t3")).toEqual(["t1 full", "t2", "lost", "t3"]);
    expect(asked).toEqual(["/api/jobs", "/api/events?token=t1", "/api/events?token=t2"]);
    stream.stop();
    await over;
  });

  it("is polled where something keeps the stream back", async () => {
    const asked: string[] = [];
    await serve((request, response) => {
      const path = request.url ?? "";
      asked.push(path.split("?")[0] ?? "");
      if (path === "/api/jobs") return json(response, { jobs: [], token: "t1" });
      if (path.startsWith("/api/events")) return; // as a proxy does that waits for the end
      if (path.endsWith("token=t1")) return json(response, delta("t2"));
      if (path.endsWith("token=t2")) return json(response, delta("t3"));
    });
    const { listener, until } = heard();
    const stream = new LiveStream(listener, null, 50);
    const over = stream.run();
    expect(await until("t3")).toEqual(["t1 full", "t2", "t3"]);
    expect(asked.slice(0, 4)).toEqual(["/api/jobs", "/api/events", "/api/jobs/long_poll", "/api/jobs/long_poll"]);
    stream.stop();
    await over;
  });

  it("takes silence for a lost connection", async () => {
    let streams = 0;
    await serve((request, response) => {
      if (request.url === "/api/jobs") return json(response, { jobs: [], token: "t1" });
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      response.write(++streams === 1 ? ":\n\n" : `id: t2\nevent: jobs\ndata: ${JSON.stringify(delta("t2"))}\n\n`);
    });
    const { listener, until } = heard();
    const stream = new LiveStream(listener, null, 5_000, 50);
    const over = stream.run();
    expect((await until("t2")).slice(0, 2)).toEqual(["t1 full", "lost"]);
    stream.stop();
    await over;
  });

  it("ends where it is not let in", async () => {
    await serve((_request, response) => json(response, { detail: "the token is missing", title: "", status: 401 }, 401));
    const { listener } = heard();
    await expect(new LiveStream(listener).run()).rejects.toThrow("the token is missing");
  });
});
