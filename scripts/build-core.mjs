// Compiles the processor core (src/core) to dist/core.wasm. Skips when neither a source nor this script has changed.
// `--fast` builds without optimisation, for development.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { digest, filesBelow, root } from "./bundle.mjs";

const fast = process.argv.includes("--fast");
const output = join(root, "dist/core.wasm");
const stampFile = join(root, "dist/.core-stamp");
const sources = [...filesBelow("src/core", (path) => path.endsWith(".ts")), "scripts/build-core.mjs"];
const stamp = `${digest(sources)}${fast ? " fast" : ""}`;

if (!existsSync(output) || !existsSync(stampFile) || readFileSync(stampFile, "utf8") !== stamp) build();

function build() {
  mkdirSync(join(root, "dist"), { recursive: true });
  const regions = readFileSync(join(root, "src/core/layout.generated.ts"), "utf8");
  const staticBase = Number(/STATIC_BASE: u32 = (0x[0-9a-f]+)/.exec(regions)?.[1]);
  const compiler = join(root, "node_modules/assemblyscript/bin/asc.js");
  const options = [
    ...["src/core/index.ts", "--outFile", output, "--runtime", "stub", "--importMemory", "--noExportMemory"],
    // Integer operations of MMX and SSE2 are the engine's own of the same meaning.
    ...["--enable", "simd", "--enable", "threads", "--sharedMemory"],
    ...[
      "--disableWarning",
      "201",
      "--memoryBase",
      String(staticBase),
      "--initialMemory",
      "256",
      "--maximumMemory",
      "65535",
    ],
    ...(fast ? ["--optimizeLevel", "1"] : ["--optimizeLevel", "3"]),
  ];
  const result = spawnSync(process.execPath, [compiler, ...options], { cwd: root, encoding: "utf8" });
  if (result.status !== 0) {
    console.error(`${result.stdout}${result.stderr}`.trim());
    throw new Error("the processor core does not compile");
  }
  if (result.stderr.trim() !== "") console.error(result.stderr.trim());
  writeFileSync(stampFile, stamp);
}
