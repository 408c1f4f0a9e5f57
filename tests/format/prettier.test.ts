// The plugin gives what the command gives, in files of its own and in Markdown, and says where a mistake is.

import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { format } from "prettier";
import { expect, test } from "vitest";
import * as plugin from "../../src/editor/format/prettier.js";
import { parse } from "../../src/syntax/index.js";
import { projectRoot } from "../support/golden.js";
import { projectFiles } from "../support/project-files.js";
import { formatted } from "./support.js";

const files = projectFiles().filter(({ path, text }) => {
  return path.endsWith(".trap") && parse({ name: path, text }).diagnostics.length === 0;
});

test.each(files.map(({ path, text }) => [path, text] as const))("%s as the command formats it", async (path, text) => {
  expect(await format(text, { filepath: path, plugins: [plugin] })).toBe(formatted(text));
});

test("the options of prettier change nothing", async () => {
  const options = { parser: "trapline", tabWidth: 8, useTabs: true, printWidth: 40, plugins: [plugin] };
  const [{ text } = { text: "" }] = files;
  expect(await format(text, options)).toBe(formatted(text));
});

test("a listing in Markdown is formatted where it stands", async () => {
  const text = "- a list\n\n  ```trap\n  guest long64 {\n  MOV eax,1=>nothing\n  }\n  ```\n";
  expect(await format(text, { parser: "markdown", plugins: [plugin] })).toBe(
    "- a list\n\n  ```trap\n  guest long64 {\n    mov   eax, 1          => nothing\n  }\n  ```\n",
  );
});

test("a mistake is an error with its place", async () => {
  const wrong = format("nop\nmov eax, 1 +\n", { parser: "trapline", plugins: [plugin] });
  await expect(wrong).rejects.toThrow(/\[E2005\][^]*> 2 \| mov/);
});

test("the built package offers the plugin under trapline/prettier", async () => {
  const built: unknown = await import(pathToFileURL(join(projectRoot, "dist/prettier.js")).href);
  expect(built).toMatchObject({ languages: [{ name: "Trapline", extensions: [".trap"] }] });
});
