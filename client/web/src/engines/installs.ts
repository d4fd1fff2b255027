/** Fetching, stopping and removing engine versions. */
import { useQueryClient } from "@tanstack/vue-query";
import { computed, watch } from "vue";
import { api, dataOf, type Install } from "@/api/client";
import { live } from "@/live/jobs";

export const INSTALL_ENDED: ReadonlySet<string> = new Set(["installed", "failed", "cancelled"]);

/** How many lie under way; each change of it means that another version is there or is not. */
export function useInstalls() {
  const queries = useQueryClient();
  const all = computed(() => [...live.installs.values()].sort((a, b) => (a.date_created < b.date_created ? 1 : -1)));
  watch(
    () => all.value.map((one) => `${one.id}${INSTALL_ENDED.has(one.state) ? one.state : ""}`).join(),
    () => {
      void queries.invalidateQueries({ queryKey: ["engines"] });
      void queries.invalidateQueries({ queryKey: ["releases"] });
    },
  );
  return all;
}

export async function fetchVersion(engine: string, version: string): Promise<void> {
  const install: Install = await dataOf(api.POST("/api/engines/download", { params: { query: { engine, version } } }));
  live.installs.set(install.id, install);
}

export async function stopInstall(id: string): Promise<void> {
  const install: Install = await dataOf(api.POST("/api/engines/installs/{install_id}/cancel", { params: { path: { install_id: id } } }));
  live.installs.set(install.id, install);
}

export async function removeVersion(engine: string, version: string): Promise<void> {
  await api.POST("/api/engines/delete", { body: { engine, version }, parseAs: "text" });
}
