/** Every job as it is now, the installs on their way, and whether what we show is how it is. */
import { computed, reactive, shallowReactive, shallowRef } from "vue";
import { ApiProblem, api, dataOf, type Install, type Job, shutOut } from "@/api/client";
import { LiveStream } from "./stream";

/** How long what arrives is gathered before the page is drawn anew, in ms: less often for long lists. */
const GATHER = 60;
const GATHER_MANY = 250;
const MANY = 2_000;

const byId = shallowReactive(new Map<string, Job>());
const list = shallowRef<Job[]>([]);
const installs = shallowReactive(new Map<string, Install>());
const connection = reactive({
  /** Whether the first list is there. */
  loaded: false,
  /** Since when nothing was heard, in ms; null: what is shown is how it is. */
  staleSince: null as number | null,
  why: "",
});

type Ended = (job: Job) => void;
const endings = new Set<Ended>();
let stream: LiveStream | null = null;
let token: string | null = null; // of what we know, so that a new stream asks for what has changed since
let lastHeard = 0;
let gathered: { jobs: Map<string, Job>; gone: Set<string>; full: boolean } | null = null;

export const ENDED: ReadonlySet<string> = new Set(["completed", "cancelled", "error"]);

function take(jobs: readonly Job[], gone: readonly string[], full: boolean): void {
  if (gathered === null) {
    gathered = { jobs: new Map(), gone: new Set(), full: false };
    setTimeout(draw, byId.size > MANY ? GATHER_MANY : GATHER);
  }
  if (full) gathered = Object.assign(gathered, { jobs: new Map(), gone: new Set(), full: true });
  for (const id of gone) {
    gathered.jobs.delete(id);
    gathered.gone.add(id);
  }
  for (const job of jobs) {
    gathered.gone.delete(job.id);
    gathered.jobs.set(job.id, job);
  }
}

function draw(): void {
  if (gathered === null) return;
  const { jobs, gone, full } = gathered;
  gathered = null;
  const ended: Job[] = [];
  if (full) {
    for (const id of [...byId.keys()]) if (!jobs.has(id)) byId.delete(id);
  }
  for (const id of gone) byId.delete(id);
  for (const [id, job] of jobs) {
    const before = byId.get(id);
    if (before !== undefined && !ENDED.has(before.status) && ENDED.has(job.status)) ended.push(job);
    byId.set(id, Object.freeze(job));
  }
  list.value = [...byId.values()];
  connection.loaded = true;
  for (const job of ended) for (const told of endings) told(job);
}

function takeInstalls(told: readonly Install[]): void {
  for (const install of told) installs.set(install.id, install);
}

async function start(): Promise<void> {
  if (stream !== null) return;
  const mine = (stream = new LiveStream({
    delta(delta) {
      token = delta.token;
      take(delta.jobs, delta.gone, delta.full);
      takeInstalls(delta.installs ?? []);
    },
    alive() {
      lastHeard = Date.now();
      connection.staleSince = null;
    },
    lost(why) {
      connection.staleSince ??= lastHeard || Date.now();
      connection.why = why instanceof Error ? why.message : String(why);
    },
  }, token));
  try {
    const known = await dataOf(api.GET("/api/engines/installs"));
    takeInstalls(known);
  } catch (error) {
    if (error instanceof ApiProblem && error.status === 401) {
      stream = null;
      return;
    }
    // The stream says whether the service is there.
  }
  try {
    await mine.run();
  } catch {
    shutOut();
  }
  if (stream === mine) stream = null;
}

/** Let go of the connection. What is shown is not live from now on, until {@link start}. */
function stop(): void {
  if (stream !== null) connection.staleSince ??= lastHeard || Date.now();
  stream?.stop();
  stream = null;
}

// What the browser knows of the network it knows before any silence tells it.
globalThis.addEventListener?.("offline", () => stream?.kick());
globalThis.addEventListener?.("online", () => stream?.kick());

function forget(): void {
  stop();
  byId.clear();
  installs.clear();
  list.value = [];
  token = null;
  gathered = null;
  Object.assign(connection, { loaded: false, staleSince: null, why: "" });
}

export const live = {
  byId,
  list,
  installs,
  connection,
  job: (id: () => string) => computed(() => byId.get(id())),
  start,
  stop,
  forget,
  /** Put in what an answer told, before the stream tells the same. */
  put: (job: Job) => take([job], [], false),
  drop: (id: string) => take([], [id], false),
  /** Call `told` for every job that ends from now on; returns how to stop that. */
  onEnded(told: Ended): () => void {
    endings.add(told);
    return () => endings.delete(told);
  },
};
