/** Dark or light: what the system wants, unless somebody chose. */
import { ref, watchEffect } from "vue";

export type Theme = "auto" | "dark" | "light";
const KEY = "zordon.theme";
const system = matchMedia("(prefers-color-scheme: light)");
const lightSystem = ref(system.matches);
const stored = localStorage.getItem(KEY);

export const theme = ref<Theme>(stored === "dark" || stored === "light" ? stored : "auto");

system.addEventListener("change", () => (lightSystem.value = system.matches));

watchEffect(() => {
  const wanted = theme.value === "auto" ? (lightSystem.value ? "light" : "dark") : theme.value;
  document.documentElement.dataset.theme = wanted;
  if (theme.value === "auto") localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, theme.value);
});
