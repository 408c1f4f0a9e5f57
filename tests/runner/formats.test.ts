// The forms of a run for programs: JSON, SARIF, GitHub's commands.

import { describe, expect, test } from "vitest";
import { renderGithub, renderJson, renderSarif, type SuiteResult } from "../../src/runner/index.js";
import { expectGolden } from "../support/golden.js";
import { runTrapFiles } from "../support/trap-suite.js";

const forms: Readonly<Record<string, (suite: SuiteResult) => string>> = {
  json: renderJson,
  sarif: (suite) => renderSarif(suite, "0.0.0"),
  github: renderGithub,
};

describe.each(["mixed", "wrong"])("%s", (name) => {
  const path = `tests/runner/formats/${name}`;
  const suite = runTrapFiles([`${path}.trap`]);

  test.each(Object.keys(forms))("as %s", (form) => {
    const text = forms[form]?.(suite) ?? "";
    expect(form === "github" || typeof JSON.parse(text) === "object").toBe(true);
    expectGolden(`${path}.${form}.golden`, `${text}\n`);
  });
});

test("a run without any test is a problem in every form", () => {
  const suite = runTrapFiles([]);
  for (const render of Object.values(forms)) expect(render(suite)).toContain("R0001");
});
