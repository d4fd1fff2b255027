/** Presets: those of the service, and one's own, which this browser keeps. */
import { ref } from "vue";
import type { Given } from "./options";

const KEY = "zordon.presets";

export interface OwnPreset {
  engine: string;
  name: string;
  given: Given;
  format: string;
}

function load(): OwnPreset[] {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(stored) ? (stored as OwnPreset[]) : [];
  } catch {
    return [];
  }
}

export const ownPresets = ref(load());

function store(presets: OwnPreset[]): void {
  ownPresets.value = presets;
  localStorage.setItem(KEY, JSON.stringify(presets));
}

export function keepPreset(preset: OwnPreset): void {
  store([...ownPresets.value.filter((one) => one.engine !== preset.engine || one.name !== preset.name), preset]);
}

export function dropPreset(preset: OwnPreset): void {
  store(ownPresets.value.filter((one) => one !== preset));
}
