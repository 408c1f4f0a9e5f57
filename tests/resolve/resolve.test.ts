// Resolve on files: what stands in tests/resolve/*.trap resolves to the text beside it, and every file in errors/ gives
// the diagnostics beside it, as people see them.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { renderDiagnostic, resolving, type Source } from "../../src/base/index.js";
import { renderResolved, resolve } from "../../src/resolve/index.js";
import { parse } from "../../src/syntax/index.js";
import { expectGolden, projectRoot } from "../support/golden.js";
import { library } from "./library.js";

const room = "tests/resolve";
const sourcesIn = (folder: string): string[] =>
  readdirSync(join(projectRoot, folder))
    .filter((name) => name.endsWith(".trap"))
    .map((name) => name.slice(0, -".trap".length));

const read = (folder: string, name: string): Source => ({
  name: `${name}.trap`,
  text: readFileSync(join(projectRoot, folder, `${name}.trap`), "utf8"),
});

/** Two modules that use each other, for the test of such. */
const circle = new Map<string, Source>([
  ["first", { name: "first.trap", text: "use second\nmacro go {\n  nop\n}\n" }],
  ["second", { name: "second.trap", text: "use first\n" }],
]);
const modules = new Map([...library(), ...circle]);

describe("files that are right", () => {
  test.each(sourcesIn(room))("%s resolves to its text", (name) => {
    const parsed = parse(read(room, name));
    const { output, diagnostics } = resolve(parsed.output, modules);
    expect([...parsed.diagnostics, ...diagnostics].map(renderDiagnostic)).toEqual([]);
    expectGolden(`${room}/${name}.resolved.golden`, renderResolved(output));
  });

  test.each(sourcesIn("examples"))("the example %s resolves without a diagnostic", (name) => {
    const parsed = parse(read("examples", name));
    expect([...parsed.diagnostics, ...resolve(parsed.output, modules).diagnostics].map(renderDiagnostic)).toEqual([]);
  });
});

describe("mistakes", () => {
  const errors = `${room}/errors`;

  test.each(sourcesIn(errors))("%s is told as in its golden", (name) => {
    const parsed = parse(read(errors, name));
    const { diagnostics } = resolve(parsed.output, modules);
    const all = [...parsed.diagnostics, ...diagnostics];
    expectGolden(`${errors}/${name}.golden`, all.map((d) => `${renderDiagnostic(d)}\n`).join("\n"));
    expect(diagnostics.map((d) => d.code)).toContain(name.slice(0, 5));
  });

  test("every code has a file that shows it, and no code is used twice", () => {
    const codes = Object.values(resolving).map((reporter) => reporter.entry.code);
    // Plain code and files full of mistakes have their own tests.
    const elsewhere = [resolving.onlyInGuest.entry.code, resolving.tooManyMistakes.entry.code];
    const shown = [...sourcesIn(errors).map((name) => name.slice(0, 5)), ...elsewhere];
    expect(new Set(codes).size).toBe(codes.length);
    expect(codes.filter((code) => !shown.includes(code))).toEqual([]);
  });
});
