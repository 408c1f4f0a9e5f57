// The one place that knows how TypeScript becomes something that Node can run (Node 20 cannot run .ts files).

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

/** The project's directory. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Every file below `directory` whose path satisfies `keep`, relative to the project, in order of name. */
export function filesBelow(directory, keep = () => true) {
  const found = [];
  const visit = (relative) => {
    const entries = readdirSync(join(root, relative), { withFileTypes: true });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))) {
      const path = `${relative}/${entry.name}`;
      if (entry.isDirectory()) visit(path);
      else if (keep(path)) found.push(path);
    }
  };
  if (existsSync(join(root, directory))) visit(directory);
  return found;
}

/** A digest of the names and contents of files, by which an unchanged build is recognized. */
export function digest(paths) {
  const hash = createHash("sha256");
  for (const path of paths)
    hash
      .update(path)
      .update("\0")
      .update(readFileSync(join(root, path)))
      .update("\0");
  return hash.digest("hex");
}

/** The bundler, or undefined where development packages are not installed. */
export async function findBundler() {
  try {
    return await import("esbuild");
  } catch {
    return undefined;
  }
}

/** Bundles one TypeScript file of the project and imports the result. */
export async function importTypeScript(path) {
  const esbuild = await findBundler();
  if (esbuild === undefined) throw new Error("esbuild is not installed: run npm ci");
  const result = await esbuild.build({
    absWorkingDir: root,
    entryPoints: [path],
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    packages: "external",
    write: false,
    logLevel: "error",
  });
  const file = join(root, "dist", "scripts", `${path.replaceAll("/", "-").replace(/\.ts$/, "")}.mjs`);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, result.outputFiles[0].contents);
  return import(`${pathToFileURL(file).href}?${process.pid}-${Date.now()}`);
}
