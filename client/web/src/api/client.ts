/** The one way to the API: typed by the OpenAPI document, errors as {@link ApiProblem}. */
import createClient, { type Middleware } from "openapi-fetch";
import type { components, paths } from "./schema";

export type Schemas = components["schemas"];
export type Job = Schemas["Job"];
export type JobStatus = Schemas["JobStatus"];
export type JobDelta = Schemas["JobDelta"];
export type Install = Schemas["Install"];
export type Who = Schemas["TokenInfo"];
export type NodeStatus = Schemas["NodeStatus"];

/** A refusal of the service: `message` says what was wrong and what would be right. */
export class ApiProblem extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly title: string,
    readonly field: string | null,
  ) {
    super(message);
    this.name = "ApiProblem";
  }
}

/** The service did not answer at all. */
export class Unreachable extends Error {
  constructor(cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.name = "Unreachable";
  }
}

const listeners = new Set<() => void>();

/** Call `told` whenever an answer says that this browser is not let in (any more). */
export function onShutOut(told: () => void): void {
  listeners.add(told);
}

export function shutOut(): void {
  for (const told of listeners) told();
}

/** What a refused answer says. */
export async function problemOf(response: Response): Promise<ApiProblem> {
  const text = await response.text();
  if (response.headers.get("content-type")?.includes("json")) {
    const told = JSON.parse(text) as Partial<Schemas["Problem"]>;
    return new ApiProblem(response.status, told.detail ?? text, told.title ?? "", told.field ?? null);
  }
  return new ApiProblem(response.status, text || response.statusText, "", null);
}

const strict: Middleware = {
  async onResponse({ response }) {
    if (response.status === 401) shutOut();
    if (!response.ok && response.status !== 304) throw await problemOf(response);
    return undefined;
  },
  onError({ error }) {
    return error instanceof ApiProblem ? error : new Unreachable(error);
  },
};

export const api = createClient<paths>({
  // Late, so that tests may put their own in its place.
  fetch: (request) => globalThis.fetch(request),
  baseUrl: globalThis.location?.origin ?? "",
  headers: { Accept: "application/json" },
});
api.use(strict);

/** The data of an answer; what was refused was thrown already. */
export async function dataOf<T>(asked: Promise<{ data?: T }>): Promise<T> {
  const { data } = await asked;
  if (data === undefined) throw new Error("the answer is empty");
  return data;
}

/** A sentence for a person about anything that was thrown. */
export function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
