// Bundles src/ into dist/, which is committed: the service is installed without npm. A hash of the sources heads each
// bundle; a test recomputes it, so that a stale bundle fails.
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const out = process.argv[2] ?? join(here, "dist");
const sources = [
  "build.mjs",
  "package-lock.json",
  "package.json",
  "tsconfig.json",
  ...readdirSync(join(here, "src")).map((name) => `src/${name}`),
].sort();
const digest = createHash("sha256");
for (const name of sources) {
  digest.update(`${name}\0`).update(readFileSync(join(here, name))).update("\0");
}
const banner = `/* sources sha256:${digest.digest("hex")} */`;

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
await build({
  absWorkingDir: here,
  entryPoints: [
    { in: "src/main.ts", out: "app" },
    { in: "src/app.css", out: "app" },
  ],
  outdir: out,
  bundle: true,
  minify: true,
  format: "iife",
  target: ["es2022"],
  charset: "utf8",
  legalComments: "inline",
  banner: { js: banner, css: banner },
  logLevel: "info",
});
for (const name of ["index.html", "icon.svg"]) {
  copyFileSync(join(here, "src", name), join(out, name));
}
