/** What there is to choose from for a job: versions, formats and options of its engine, what the project suggests. */
import { useQuery } from "@tanstack/vue-query";
import { computed, type Ref } from "vue";
import { api, dataOf, type Schemas } from "@/api/client";
import { type Given, groupsOf } from "./options";

interface Chosen {
  /** Empty: not known yet. */
  engine: Ref<string>;
  /** Empty: the project chooses. */
  version: Ref<string>;
  found: Ref<Schemas["ProjectInspection"] | null>;
  given: Ref<Given>;
}

export function useChoices({ engine, version, found, given }: Chosen) {
  const { data: engines } = useQuery({
    queryKey: ["engines", "full"],
    queryFn: ({ signal }) => dataOf(api.GET("/api/engines", { params: { query: { response_type: "full" } }, signal })),
  });
  const { data: presets } = useQuery({
    queryKey: ["presets"],
    queryFn: ({ signal }) => dataOf(api.GET("/api/presets", { signal })),
    staleTime: Number.POSITIVE_INFINITY,
  });
  const detail = computed(() => (engine.value === "" ? undefined : engines.value?.[engine.value]));
  const versions = computed(() => [...new Set(detail.value?.versions.map((one) => one.name || one.version) ?? [])]);
  const { data: schema, error: schemaError } = useQuery({
    queryKey: computed(() => ["args", engine.value, version.value || found.value?.engine_version]),
    queryFn: async ({ signal }) => {
      const path = { engine_name: engine.value };
      const exact = version.value || (found.value?.engine_version_installed ? found.value.engine_version : null);
      const told = await dataOf(api.GET("/api/engines/{engine_name}/args", { params: { path, query: exact ? { version: exact } : {} }, signal }));
      return told.schema;
    },
    enabled: computed(() => engine.value !== ""),
  });
  const groups = computed(() => {
    // The output format has its own field above.
    const all = schema.value === undefined ? [] : groupsOf(schema.value);
    return all.map((group) => ({ ...group, options: group.options.filter((option) => option.name !== "output_format") })).filter((group) => group.options.length > 0);
  });
  const suggestions = computed(() => ({ camera: found.value?.cameras ?? [], scene: found.value?.scenes ?? [], view_layer: found.value?.view_layers ?? [] }));
  const presetTold = computed(() => {
    const all = (presets.value as { presets?: Record<string, { title?: string; description?: string }> } | undefined)?.presets;
    const chosen = given.value.preset;
    return chosen === undefined ? "" : (all?.[chosen]?.description ?? "");
  });

  return { detail, versions, groups, schemaError, suggestions, presetTold };
}
