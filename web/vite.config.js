import { defineConfig } from "vite";

// Threads need these headers; `restorax web` and any host of the page must send them, too.
const headers = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

export default defineConfig({
  base: "./",
  worker: { format: "es" },
  build: { target: "es2022", assetsInlineLimit: 0 },
  server: { headers },
});
