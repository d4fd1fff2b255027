import { beforeEach, describe, expect, it } from "vitest";
import { Upload } from "@/submit/upload";
import { bodyOf, json, serve } from "./server";

/** Node has no store of a browser's. */
const stored = new Map<string, string>();
Object.defineProperty(globalThis, "localStorage", {
  configurable: true,
  value: { getItem: (key: string) => stored.get(key) ?? null, setItem: (key: string, value: string) => void stored.set(key, value) },
});
beforeEach(() => stored.clear());

/** The service's own way with uploads: what comes at the wrong place is refused. */
function uploads() {
  const kept = new Map<string, { size: number; bytes: Buffer }>();
  const asked: string[] = [];
  let trouble = 0;
  return {
    kept,
    asked,
    failNext: (times: number) => (trouble = times),
    async handler(request: import("node:http").IncomingMessage, response: import("node:http").ServerResponse): Promise<void> {
      const [, , , id] = (request.url ?? "").split("/");
      asked.push(`${request.method} ${request.headers["upload-offset"] ?? ""}`.trim());
      const body = await bodyOf(request);
      const tell = (name: string) => {
        const one = kept.get(name);
        if (one === undefined) return json(response, { detail: "there is no such upload", title: "", status: 404 }, 404);
        json(response, { id: name, offset: one.bytes.length, size: one.size, complete: one.bytes.length === one.size });
      };
      if (request.method === "POST") {
        kept.set("u1", { size: (JSON.parse(body.toString()) as { size: number }).size, bytes: Buffer.alloc(0) });
        return tell("u1");
      }
      const one = kept.get(id ?? "");
      if (request.method === "PATCH" && one !== undefined) {
        if (trouble-- > 0) return void request.socket.destroy();
        if (Number(request.headers["upload-offset"]) !== one.bytes.length) return json(response, { detail: "elsewhere", title: "", status: 409 }, 409);
        one.bytes = Buffer.concat([one.bytes, body]);
      }
      tell(id ?? "");
    },
  };
}

const file = (): File => new File(["0123456789"], "shot.blend", { lastModified: 1 });

describe("an upload", () => {
  it("comes in pieces", async () => {
    const service = uploads();
    await serve(service.handler);
    const upload = new Upload(file(), 4);
    await upload.run();
    expect(upload.state).toMatchObject({ name: "done", sent: 10 });
    expect(service.kept.get("u1")?.bytes.toString()).toBe("0123456789");
    expect(service.asked).toEqual(["POST", "PATCH 0", "PATCH 4", "PATCH 8"]);
  });

  it("goes on by itself where the connection was lost", async () => {
    const service = uploads();
    await serve(service.handler);
    service.failNext(1);
    const upload = new Upload(file(), 4);
    await upload.run();
    expect(upload.state.name).toBe("done");
    expect(service.kept.get("u1")?.bytes.toString()).toBe("0123456789");
    expect(service.asked.filter((one) => one === "POST")).toHaveLength(1);
  });

  it("of the same file goes on after the page was closed", async () => {
    const service = uploads();
    await serve(service.handler);
    service.kept.set("old", { size: 10, bytes: Buffer.from("012345") });
    localStorage.setItem("zordon.uploads", JSON.stringify({ "shot.blend 10 1": "old" }));
    const upload = new Upload(file(), 4);
    await upload.run();
    expect(upload.id).toBe("old");
    expect(service.asked).toEqual(["GET", "PATCH 6"]);
    expect(service.kept.get("old")?.bytes.toString()).toBe("0123456789");
  });

  it("begins anew when the service has thrown it away", async () => {
    const service = uploads();
    await serve(service.handler);
    localStorage.setItem("zordon.uploads", JSON.stringify({ "shot.blend 10 1": "expired" }));
    const upload = new Upload(file());
    await upload.run();
    expect(upload.id).toBe("u1");
    expect(upload.state.name).toBe("done");
  });

  it("says why it is refused, and does not try again", async () => {
    await serve((_request, response) => json(response, { detail: "the disk is too full", title: "", status: 413 }, 413));
    const upload = new Upload(file());
    await upload.run();
    expect(upload.state).toMatchObject({ name: "failed", trouble: "the disk is too full" });
  });
});
