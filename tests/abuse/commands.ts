// What every command does with a text, without a process around it: nothing may throw, and every diagnostic has words
// and a place inside its source.

import { hasErrors, renderDiagnostic, type Diagnostic, type Source } from "../../src/base/index.js";
import { disassemble } from "../../src/codec/index.js";
import { assembleListing, compile, imageForms } from "../../src/compiler/index.js";
import { formatSource } from "../../src/editor/index.js";
import { renderResolved, resolve, resolveListing } from "../../src/resolve/index.js";
import { fillHoles, renderGithub, renderJson, renderSarif, runFiles } from "../../src/runner/index.js";
import { parse, renderTokens, renderTree } from "../../src/syntax/index.js";

export type Library = ReadonlyMap<string, Source>;

/** Gives a text to everything that takes one; the faults that showed. */
export function faultsOf(text: string, library: Library): string[] {
  const source: Source = { name: "abuse.trap", text };
  const faults: string[] = [];
  const attempt = (command: string, act: () => readonly Diagnostic[]): void => {
    try {
      faults.push(...act().flatMap((found) => wrongDiagnostic(found).map((fault) => `${command}: ${fault}`)));
    } catch (thrown) {
      faults.push(`${command} throws ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}`);
    }
  };
  attempt("check", () => checkAndBuild(source, library));
  attempt("fmt", () => formatSource(source).diagnostics);
  attempt("asm", () => {
    const parsed = parse(source);
    const resolved = resolveListing(parsed.output, 64, library);
    return [...parsed.diagnostics, ...resolved.diagnostics, ...assembleListing(resolved.output, 0n).diagnostics];
  });
  attempt("run", () => run(source, library));
  attempt("disasm", () => {
    for (const line of disassemble(Buffer.from(text.slice(0, 2000)), 64, 0n))
      if (line.text === "") faults.push("disasm");
    return [];
  });
  return faults;
}

function checkAndBuild(source: Source, library: Library): readonly Diagnostic[] {
  const parsed = parse(source);
  renderTokens(source);
  renderTree(parsed.output);
  const resolved = resolve(parsed.output, library, {
    hasSyntaxErrors: hasErrors(parsed.diagnostics),
    platforms: ["haswell", "zen"],
  });
  renderResolved(resolved.output);
  const diagnostics = [...parsed.diagnostics, ...resolved.diagnostics];
  if (hasErrors(diagnostics)) return diagnostics;
  const cases = resolved.output.tests.flatMap((test) => test.cases).filter((one) => one.skip === undefined);
  for (const one of cases.slice(0, 4)) {
    for (const lowering of ["bundled", "carried"] as const) {
      const { output, diagnostics: own } = compile(one, { lowering });
      diagnostics.push(...own);
      if (hasErrors(own)) continue;
      for (const form of Object.values(imageForms))
        if (output.image.boot !== undefined || !form.needsCarried) form.write(output);
    }
  }
  return diagnostics;
}

function run(source: Source, library: Library): readonly Diagnostic[] {
  // The machine is right or wrong elsewhere; here few instructions are enough to get through every report.
  const options = { modules: library, goldens: new Map<string, string>(), update: false, ci: false };
  const text = source.text.replace(/\bbudget\s+\S+/g, "budget 10000");
  const suite = runFiles([{ source: { ...source, text } }], { ...options, platforms: ["haswell"], transcripts: "all" });
  for (const render of [renderJson, renderGithub]) render(suite);
  renderSarif(suite, "0");
  fillHoles(source, suite.files[0]?.cases ?? []);
  return [...suite.problems, ...(suite.files[0]?.diagnostics ?? [])];
}

function wrongDiagnostic(found: Diagnostic): string[] {
  const { span, message } = found;
  const rendered = renderDiagnostic(found);
  const isPlaced =
    span === undefined || (span.start >= 0 && span.start <= span.end && span.end <= span.source.text.length + 1);
  // Names of tests are the author's.
  const isWorded = !/undefined|\bNaN\b|internal error|\[object/.test(message.replace(/"[^"]*"/g, "")) && message !== "";
  return isPlaced && isWorded && rendered.length < 100_000
    ? []
    : [`${rendered.slice(0, 500)} at ${span?.start}..${span?.end}`];
}
