import { QueryClient, VueQueryPlugin } from "@tanstack/vue-query";
import { createApp } from "vue";
import { ApiProblem } from "@/api/client";
import { takeCode } from "@/api/session";
import App from "./App.vue";
import { newRouter } from "./router";
import "./styles/tokens.css";
import "./styles/base.css";
import "./theme";

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      // What the service has refused it will refuse again.
      retry: (count, error) => !(error instanceof ApiProblem && error.status < 500) && count < 2,
      refetchOnWindowFocus: true,
    },
  },
});

const code = takeCode();
const app = createApp(App, { code });
app.use(newRouter());
app.use(VueQueryPlugin, { queryClient: queries });
app.mount("#app");
