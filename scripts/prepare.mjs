// What `npm ci` runs: builds the processor core and bundles the program into dist/. Quick when nothing changed.
//
// Without development packages (npm ci --omit=dev) there is nothing to build with: an installed package brings its
// dist/ along, and a clone without it is told what to do.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { digest, filesBelow, findBundler, root } from "./bundle.mjs";

/** Entry points of the package: name in dist/ -> source. An entry is built when its source is there. */
const entries = {
  cli: "src/cli/main.ts",
  machine: "src/machine/library.ts",
  prettier: "src/editor/format/prettier.ts",
};

/** commander is CommonJS and asks for Node's own modules by require, which a module does not have. */
const requireForCommonJs = [
  'import { createRequire as createRequireHere } from "node:module";',
  "const require = createRequireHere(import.meta.url);",
].join("\n");

await main();

async function main() {
  const esbuild = await findBundler();
  if (esbuild === undefined) {
    if (existsSync(join(root, "dist/cli.js"))) return;
    console.error("trapline: development packages are absent and dist/ is not built; run npm ci to build it");
    return;
  }
  mkdirSync(join(root, "dist"), { recursive: true });
  await bundle(esbuild);
  await buildCore();
}

/** The core is the slow part; its script skips when no source of it changed. */
async function buildCore() {
  const script = join(root, "scripts/build-core.mjs");
  if (existsSync(script)) await import(pathToFileURL(script).href);
}

async function bundle(esbuild) {
  const inputs = [
    ...filesBelow("src", (path) => path.endsWith(".ts") && !path.startsWith("src/core/")),
    "scripts/prepare.mjs",
    "package-lock.json",
  ];
  const stampFile = join(root, "dist/.bundle-stamp");
  const stamp = digest(inputs);
  if (existsSync(join(root, "dist/cli.js")) && existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp)
    return;
  const present = Object.entries(entries).filter(([, source]) => existsSync(join(root, source)));
  if (present.length === 0) return;
  rmSync(join(root, "dist/chunks"), { recursive: true, force: true });
  // Splitting keeps what a command does not need out of its start: each command is loaded when it is asked for.
  await esbuild.build({
    absWorkingDir: root,
    entryPoints: Object.fromEntries(present),
    outdir: "dist",
    chunkNames: "chunks/[name]-[hash]",
    bundle: true,
    splitting: true,
    // Less text to read is a quicker start.
    minify: true,
    format: "esm",
    platform: "node",
    target: "node20",
    legalComments: "none",
    logLevel: "warning",
    banner: { js: requireForCommonJs },
  });
  declareTypes();
  writeFileSync(stampFile, stamp);
}

/** Type declarations of the library entries. Type errors are the business of `npm run typecheck`, not of a build. */
function declareTypes() {
  const compiler = join(root, "node_modules/typescript/lib/tsc.js");
  if (!existsSync(compiler)) return;
  rmSync(join(root, "dist/types"), { recursive: true, force: true });
  spawnSync(process.execPath, [compiler, "-p", join(root, "tsconfig.types.json")], { stdio: "ignore" });
}
