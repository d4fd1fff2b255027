/** The nodes that there are: this one, and those of its farm where the node has one. */
import { useQuery } from "@tanstack/vue-query";
import { computed } from "vue";
import { ApiProblem, api, dataOf, type NodeStatus } from "@/api/client";

export interface FarmNode {
  /** `host:port`. */
  address: string;
  name: string;
  state: "online" | "paused" | "away" | "left" | "refused";
  reason: string;
  tags: string[];
  /** Of this node whatever it is; of others if they told it. */
  status: NodeStatus | null;
  here: boolean;
  /** Seconds since it was heard; null: never. */
  age: number | null;
}

async function allNodes(signal: AbortSignal): Promise<FarmNode[]> {
  const [own, told, full] = await Promise.all([
    dataOf(api.GET("/api/status", { signal })),
    dataOf(api.GET("/api/nodes", { signal })),
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
  const others = told.nodes
    .filter((peer) => !peer.own && peer.id !== own.node_id)
    .map((peer): FarmNode => ({
      address: peer.address,
      name: peer.name,
      state: peer.state === "online" && peer.paused ? "paused" : peer.state,
      reason: peer.reason || peer.paused_reason || "",
      tags: peer.tags ?? [],
      status: full.get(peer.id) ?? null,
      here: false,
      age: peer.age ?? null,
    }));
  return [here, ...others];
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
  return { ...asked, nodes: computed(() => asked.data.value ?? []) };
}

export function useLoad() {
  return useQuery({
    queryKey: ["load"],
    queryFn: ({ signal }) => dataOf(api.GET("/api/node/load", { signal })),
    refetchInterval: 5_000,
  });
}
