// The catalogue promises a next step with every diagnostic: each entry has words for it, and what the goldens of all
// phases show bears it out, whatever the facts.

import { describe, expect, test } from "vitest";
import { diagnosticsByPhase } from "../../src/base/index.js";
import { projectFiles } from "../support/project-files.js";

describe("every diagnostic has a next step", () => {
  test("in the catalogue", () => {
    const entries = diagnosticsByPhase().flatMap((phase) => phase.entries);
    expect(entries.filter((entry) => !("help" in entry)).map((entry) => entry.code)).toEqual([]);
  });

  test("in what is shown of every mistake that has a golden", () => {
    const goldens = projectFiles().filter(({ path }) => /^tests\/\w+\/errors\/.*\.golden$/.test(path));
    const shown = goldens.flatMap(({ path, text }) =>
      text.split(/^(?=(?:error|warning)\[)/m).map((one) => ({ path, one })),
    );
    expect(shown.length).toBeGreaterThan(200);
    const without = shown.filter(({ one }) => !/^ {2}help: \S/m.test(one));
    expect(without.map(({ path, one }) => `${path}: ${one.split("\n", 1)[0] ?? ""}`)).toEqual([]);
  });
});
