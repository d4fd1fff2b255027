/// <reference types="vitest/config" />
import { fileURLToPath } from "node:url";
import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vite";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  plugins: [vue()],
  resolve: { alias: { "@": here("./src") } },
  build: {
    // Inside the package, where the service looks for it, whether it is installed or run from its sources.
    outDir: here("../../app/page"),
    emptyOutDir: true,
    target: "es2022",
    // Data addresses would need a wider Content-Security-Policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: {
    // `npm run dev` beside a service on its usual port.
    proxy: { "/api": { target: "http://127.0.0.1:8080", headers: { origin: "http://127.0.0.1:8080" } } },
  },
  test: { include: ["tests/**/*.test.ts"] },
});
