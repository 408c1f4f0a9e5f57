// What `npm ci` runs: builds the processor core and bundles the program into dist/. Quick when nothing changed.
//
// Without development packages (npm ci --omit=dev) there is nothing to build with: an installed package brings its
// dist/ along, and a clone without it is told what to do.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { digest, filesBelow, findBundler, root } from "./bundle.mjs";

/** Library entries of the package: name in dist/ -> source. An entry is built when its source is there. */
const entries = {
  machine: "src/machine/library.ts",
  prettier: "src/editor/format/prettier.ts",
};

/** commander is CommonJS and asks for Node's own modules by require, which a module does not have. */
const requireForCommonJs = [
  'import { createRequire as createRequireHere } from "node:module";',
  "const require = createRequireHere(import.meta.url);",
].join("\n");

const common = {
  bundle: true,
  // Less text to read is a quicker start.
  minify: true,
  platform: "node",
  target: "node20",
  legalComments: "none",
  logLevel: "warning",
};

/** commander wants child_process for commands that are programs of their own, which we have none of: 5 % of a start. */
const lateChildProcess = {
  name: "late child_process",
  setup(build) {
    build.onResolve({ filter: /^node:child_process$/ }, (request) =>
      request.importer.includes("commander") ? { path: "child_process", namespace: "late" } : undefined,
    );
    build.onLoad({ filter: /.*/, namespace: "late" }, () => ({
      contents: 'exports.spawn = (...args) => require("child_process").spawn(...args);',
    }));
  },
};

/**
 * Files of the project that are loaded when one of their functions is first called, with these. The grammar brings
 * chevrotain along, for a file in which something is wrong; the tables of x87 and vectors are long.
 */
const lateFiles = {
  "./by-grammar.js": ["grammarShape", "statementsByGrammar"],
  "./late.js": ["lateInstructions", "vexInstructions"],
};

const late = {
  name: "late",
  setup(build) {
    build.onResolve({ filter: /^\.\/(by-grammar|late)\.js$/ }, ({ path, kind, resolveDir }) =>
      kind === "require-call" ? undefined : { path, namespace: "late-file", pluginData: resolveDir },
    );
    build.onLoad({ filter: /.*/, namespace: "late-file" }, ({ path, pluginData: resolveDir }) => {
      const call = (name) => `export const ${name} = (...args) => require("${path}").${name}(...args);`;
      return { contents: lateFiles[path].map(call).join("\n"), resolveDir };
    });
  },
};

await main();

async function main() {
  const esbuild = await findBundler();
  if (esbuild === undefined) {
    if (existsSync(join(root, "dist/cli.cjs"))) return;
    console.error("trapline: development packages are absent and dist/ is not built; run npm ci to build it");
    return;
  }
  mkdirSync(join(root, "dist"), { recursive: true });
  await bundle(esbuild);
  await buildCore();
  keepCompiled();
}

/** V8's compiled form of the program as it is after a run: with all functions that the run has called. */
function keepCompiled() {
  const [script] = filesBelow("dist/program", (path) => path.endsWith(".cjs"));
  if (script === undefined || existsSync(join(root, script.replace(/cjs$/, "cache")))) return;
  const result = spawnSync(process.execPath, [join(root, "scripts/keep-compiled.mjs"), script], {
    cwd: root,
    encoding: "utf8",
  });
  if (result.status !== 0) console.error(`the compiled form of the program is not kept: ${result.stderr}`);
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
  if (existsSync(join(root, "dist/cli.cjs")) && existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp)
    return;
  await bundleProgram(esbuild);
  const present = Object.entries(entries).filter(([, source]) => existsSync(join(root, source)));
  rmSync(join(root, "dist/chunks"), { recursive: true, force: true });
  // Splitting: the entries share what they have in common.
  await esbuild.build({
    absWorkingDir: root,
    entryPoints: Object.fromEntries(present),
    outdir: "dist",
    chunkNames: "chunks/[name]-[hash]",
    splitting: true,
    format: "esm",
    ...common,
    plugins: [late],
    banner: { js: requireForCommonJs },
  });
  declareTypes();
  writeFileSync(stampFile, stamp);
}

/**
 * The command line: one script in dist/program with its compiled form, and dist/cli.cjs that runs it
 * (src/cli/start.ts). A command's rooms are initialised when it is asked for.
 */
async function bundleProgram(esbuild) {
  const built = await esbuild.build({
    absWorkingDir: root,
    entryPoints: ["src/cli/main.ts"],
    write: false,
    format: "cjs",
    ...common,
    define: { "import.meta.url": "moduleUrl" },
    plugins: [lateChildProcess, late],
  });
  const text = built.outputFiles[0].text.replace(/^#!.*\n/, "");
  const program = createHash("sha256").update(text).digest("hex").slice(0, 16);
  rmSync(join(root, "dist/program"), { recursive: true, force: true });
  mkdirSync(join(root, "dist/program"), { recursive: true });
  const script = join(root, "dist/program", `${program}.cjs`);
  writeFileSync(script, `(function (require, moduleUrl) {\n${text}})`);
  await esbuild.build({
    absWorkingDir: root,
    entryPoints: ["src/cli/start.ts"],
    outfile: "dist/cli.cjs",
    format: "cjs",
    ...common,
    define: { PROGRAM: JSON.stringify(program) },
    banner: { js: "#!/usr/bin/env node" },
  });
  chmodSync(join(root, "dist/cli.cjs"), 0o755);
}

/** Type declarations of the library entries. Type errors are the business of `npm run typecheck`, not of a build. */
function declareTypes() {
  const compiler = join(root, "node_modules/typescript/lib/tsc.js");
  if (!existsSync(compiler)) return;
  rmSync(join(root, "dist/types"), { recursive: true, force: true });
  spawnSync(process.execPath, [compiler, "-p", join(root, "tsconfig.types.json")], { stdio: "ignore" });
}
