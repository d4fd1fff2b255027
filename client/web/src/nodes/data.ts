/** The nodes that there are: this one, and those of its farm where the node has one. */
import { useQuery } from "@tanstack/vue-query";
import { computed } from "vue";
import { ApiProblem, api, dataOf, problemOf, type NodeStatus } from "@/api/client";

export interface FarmNode {
  /** `host:port`. */
  address: string;
  name: string;
  state: "online" | "paused" | "stale" | "offline";
  reason: string;
  tags: string[];
  /** Of this node whatever it is; of others if they told it. */
  status: NodeStatus | null;
  here: boolean;
  /** Seconds since it was heard. */
  age: number;
}

/** A node of the farm, as a node with peers tells it. */
interface Peer {
  id: string;
  name: string;
  address: string;
  state: string;
  reason?: string;
  tags?: string[];
  age?: number | null;
}

/** GET of a route that older nodes do not have: null if it is not there. */
async function perhaps<T>(path: string, signal: AbortSignal): Promise<T | null> {
  const response = await fetch(path, { headers: { Accept: "application/json" }, signal });
  if (response.status === 404) return null;
  if (!response.ok) throw await problemOf(response);
  return (await response.json()) as T;
}

async function allNodes(signal: AbortSignal): Promise<{ nodes: FarmNode[]; farm: boolean }> {
  const [own, peers, full] = await Promise.all([
    dataOf(api.GET("/api/status", { signal })),
    perhaps<Peer[] | { nodes: Peer[] }>("/api/nodes", signal),
    fullStatus(signal),
  ]);
  const here: FarmNode = {
    address: `${own.hostname}:${own.port}`,
    name: own.hostname,
    state: own.paused || own.resting ? "paused" : "online",
    reason: own.resting || own.paused_reason || "",
    tags: own.tags ?? [],
    status: own,
    here: true,
    age: 0,
  };
  const others = (Array.isArray(peers) ? peers : (peers?.nodes ?? []))
    .filter((peer) => peer.id !== own.node_id)
    .map((peer): FarmNode => {
      const state = peer.state;
      return {
        address: peer.address,
        name: peer.name,
        state: state === "online" || state === "paused" || state === "stale" ? state : state === "offline" ? "offline" : "online",
        reason: peer.reason ?? "",
        tags: peer.tags ?? [],
        status: full.get(peer.id) ?? null,
        here: false,
        age: peer.age ?? 0,
      };
    });
  return { nodes: [here, ...others], farm: peers !== null };
}

async function fullStatus(signal: AbortSignal): Promise<Map<string, NodeStatus>> {
  try {
    const { servers } = await dataOf(api.GET("/api/full_status", { signal }));
    return new Map(Object.values(servers).map(({ status }) => [status.node_id, status]));
  } catch (error) {
    // The nodes are shown without what they do.
    if (error instanceof ApiProblem && error.status >= 500) return new Map();
    throw error;
  }
}

export function useNodes() {
  const asked = useQuery({ queryKey: ["nodes"], queryFn: ({ signal }) => allNodes(signal), refetchInterval: 3_000 });
  return { ...asked, nodes: computed(() => asked.data.value?.nodes ?? []), farm: computed(() => asked.data.value?.farm ?? false) };
}

export function useLoad() {
  return useQuery({
    queryKey: ["load"],
    queryFn: ({ signal }) => dataOf(api.GET("/api/node/load", { signal })),
    refetchInterval: 5_000,
  });
}
