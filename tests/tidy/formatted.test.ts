// Test files have the layout that `trapline fmt` gives, those apart whose subject is how a text is written.

import { expect, test } from "vitest";
import { formatSource } from "../../src/editor/index.js";
import { projectFiles } from "../support/project-files.js";

const files = projectFiles().filter(
  ({ path }) => path.endsWith(".trap") && !path.startsWith("tests/syntax/") && path !== "tests/format/messy.trap",
);

test(".trap files are formatted: `node dist/cli.cjs fmt FILE` formats one", () => {
  const wrong = files.filter(({ path, text }) => formatSource({ name: path, text }).output !== text);
  expect(wrong.map(({ path }) => path)).toEqual([]);
});
