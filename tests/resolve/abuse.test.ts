// Input that nobody should write: always a diagnostic, in bounded time and memory, never an exception.

import { describe, expect, test } from "vitest";
import type { Diagnostic } from "../../src/base/index.js";
import { resolve } from "../../src/resolve/index.js";
import { parse } from "../../src/syntax/index.js";
import { library } from "./library.js";

const modules = library();

function resolveText(text: string): readonly Diagnostic[] {
  const parsed = parse({ name: "abuse.trap", text });
  return [...parsed.diagnostics, ...resolve(parsed.output, modules).diagnostics];
}

const codesOf = (text: string): string[] => [...new Set(resolveText(text).map((d) => d.code))];
const times = (count: number, line: (i: number) => string): string =>
  Array.from({ length: count }, (_, i) => line(i)).join("\n");
const wrap = (body: string, top = "", head = "on haswell"): string =>
  `${top}\ntest "a" {\n  ${head}\n  guest long64 {\n${body}\n    nop => nothing\n  }\n}\n`;

describe("what grows without end is told", () => {
  test.each<[string, string, string]>([
    [
      "macros that double",
      wrap("a40", `macro a0 {\n  nop\n}\n${times(40, (i) => `macro a${i + 1} {\n  a${i}\n  a${i}\n}`)}`),
      "E3011",
    ],
    ["empty rounds of rounds", wrap("repeat 60000 {\n repeat 60000 {\n }\n}"), "E3011"],
    [
      "arguments that double",
      wrap("m40 1", `macro m0(a) {\n  mov eax, a\n}\n${times(40, (i) => `macro m${i + 1}(a) {\n  m${i} a + a\n}`)}`),
      "E3103",
    ],
    ["a macro that passes on its argument for ever", wrap("m 1", "macro m(a) {\n  m a\n}"), "E3010"],
    ["a block that uses itself", wrap("m {\n  nop\n}", "macro m(b: block) {\n  m {\n    b\n  }\n}"), "E3010"],
    [
      "a long chain of constants",
      wrap("mov eax, C0", `${times(2000, (i) => `const C${i} = C${i + 1}`)}\nconst C2000 = 1`),
      "E3102",
    ],
    [
      "combinations of values",
      wrap("nop", "", `on all\n${times(9, (i) => `each v${i} = 1, 2, 3, 4, 5, 6, 7, 8`)}`),
      "E3104",
    ],
    ["a value that names itself", wrap("mov eax, a", "", "on haswell\neach a = a"), "E3001"],
    [
      "thousands of mistakes",
      wrap(times(3000, (i) => `mov eax, unknown${i}`))
        .repeat(2)
        .replace('"a"', '"b"'),
      "E3105",
    ],
  ])("%s", (_, text, code) => {
    expect(codesOf(text)).toContain(code);
  });
});

/** A small generator of numbers, so that every run mutates the same way. */
function* numbers(seed: number): Generator<number, never> {
  for (let state = seed; ;) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state;
  }
}

test("files whose words were exchanged, removed or repeated never make it throw", () => {
  const seeds = [...modules.values()].map((source) => source.text);
  const body = "mov eax, [rbx]  => trap #PF(1, address: 0x9000) goto .x\n .x: expect dword [rax] == count(exit CPUID)";
  const words = [seeds.join("\n"), wrap(body, "use vmx\nmacro m(a: mem, b = 1) {\n  m a\n}\n")]
    .join("\n")
    .split(/(\s+)/);
  const next = numbers(1);
  const take = (below: number): number => (next.next().value >>> 8) % below;
  for (let round = 0; round < 60; round++) {
    const start = take(words.length - 200);
    const piece = words.slice(start, start + 200);
    for (let change = 0; change < 8; change++) {
      const at = take(piece.length);
      const kind = take(3);
      if (kind === 0) piece[at] = words[take(words.length)] ?? "";
      else if (kind === 1) piece.splice(at, 1);
      else piece.splice(at, 0, ...piece.slice(at, at + take(6)));
    }
    const text = piece.join("");
    expect(() => resolveText(text), `round ${round}:\n${text}`).not.toThrow();
    expect(() => resolveText(wrap(text, "use vmx, svm")), `round ${round}, in a guest:\n${text}`).not.toThrow();
  }
});
