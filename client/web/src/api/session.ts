/** Who this browser is let in as. The secret is a cookie that no script can read; here is only whether there is one. */
import { computed, shallowRef } from "vue";
import { ApiProblem, api, dataOf, onShutOut, problemOf, type Who } from "./client";

const who = shallowRef<Who | null>(null);
const known = shallowRef(false);
const ROLES = ["read", "submit", "peer", "admin"];

onShutOut(() => {
  who.value = null;
  known.value = true;
});

async function login(shown: { code: string } | { token: string }): Promise<void> {
  // Not through the client: a wrong token is no reason to say that the session ended.
  const response = await fetch("/api/login", {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify(shown),
  });
  if (!response.ok) throw await problemOf(response);
  who.value = (await response.json()) as Who;
  known.value = true;
}

export const session = {
  who,
  /** Whether the service was asked yet. */
  known,
  may: (role: string) => computed(() => who.value !== null && ROLES.indexOf(who.value.role) >= ROLES.indexOf(role)),

  /** Ask who we are; null if we are nobody yet. */
  async look(): Promise<void> {
    try {
      who.value = await dataOf(api.GET("/api/whoami"));
    } catch (error) {
      if (!(error instanceof ApiProblem) || error.status !== 401) throw error;
      who.value = null;
    }
    known.value = true;
  },

  loginWithCode: (code: string) => login({ code }),
  loginWithToken: (token: string) => login({ token }),

  async logout(): Promise<void> {
    await api.POST("/api/logout", { parseAs: "text" });
    who.value = null;
  },
};

/** The one-time code behind the # of the address; it is taken out of the address at once. */
export function takeCode(): string | null {
  const code = new URLSearchParams(location.hash.slice(1)).get("code");
  if (code !== null) history.replaceState(null, "", location.pathname + "#/");
  return code;
}
