// Instructions that cannot be encoded, and what is said of each. File names: code, width of the code, what it is.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { encoder, renderDiagnostic, type Span } from "../../src/base/index.js";
import { encode, type CodeBits } from "../../src/codec/index.js";
import { assembleListing } from "../../src/compiler/index.js";
import { resolveListing } from "../../src/resolve/index.js";
import { parse } from "../../src/syntax/index.js";
import { expectGolden, projectRoot } from "../support/golden.js";

const folder = "tests/codec/errors";
const sources = readdirSync(join(projectRoot, folder)).filter((name) => name.endsWith(".asm"));

test.each(sources)("%s", (name) => {
  const [code, bits] = name.split("-");
  const parsed = parse({ name, text: readFileSync(join(projectRoot, folder, name), "utf8") });
  const resolved = resolveListing(parsed.output, Number(bits) as CodeBits, new Map());
  expect([...parsed.diagnostics, ...resolved.diagnostics].map(renderDiagnostic)).toEqual([]);
  const { diagnostics } = assembleListing(resolved.output, 0n);
  expect(diagnostics.map((one) => one.code)).toEqual([code]);
  expectGolden(`${folder}/${name.replace(/\.asm$/, ".golden")}`, `${diagnostics.map(renderDiagnostic).join("\n")}\n`);
});

test("every code of the encoder has a file", () => {
  const codes = new Set(Object.values(encoder).map((reporter) => reporter.entry.code));
  // An unknown word does not get past resolve; the codec's door reports it to other users.
  codes.delete(encoder.unknownMnemonic.entry.code);
  for (const name of sources) codes.delete(name.slice(0, 5));
  expect([...codes]).toEqual([]);
});

test("an unknown mnemonic is reported with near names", () => {
  const encoded = encode({ mnemonic: "cpuud", prefixes: [], operands: [] }, { bits: 64, address: 0n });
  const span: Span = { source: { name: "x", text: "cpuud" }, start: 0, end: 5 };
  const found = "problem" in encoded ? encoded.problem({ mnemonic: span, operands: [] }) : undefined;
  expect(found && renderDiagnostic(found)).toContain("did you mean cpuid");
});
