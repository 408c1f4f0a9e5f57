// Golden files: a text that a test produces, kept beside it and reviewed like code.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";

/** The project's directory. */
export const projectRoot = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** True in `npm test -- --update`: golden files are rewritten rather than compared. */
export const updatingGoldens = process.env["TRAPLINE_UPDATE"] === "1";

/**
 * Compares `text` with the golden file at `path` (relative to the project, ending in `.golden`).
 * A difference shows as a diff, with the command that accepts it.
 */
export function expectGolden(path: string, text: string): void {
  const file = join(projectRoot, path);
  if (updatingGoldens) {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    return;
  }
  const kept = existsSync(file) ? readFileSync(file, "utf8") : "";
  const accept = `if the new text is right: npm test -- --update ${relative(projectRoot, file).split("/").slice(0, 2).join("/")}`;
  expect(text, `${path} differs; ${accept}`).toBe(kept);
}
