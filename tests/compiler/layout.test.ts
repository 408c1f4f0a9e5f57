// Relaxation, sections, points and places, on hand-made cases with an encoder of made-up lengths.

import { expect, test } from "vitest";
import { compile, renderListing } from "../../src/compiler/index.js";
import type { Program } from "../../src/program/index.js";
import type { Item, ResolvedCase } from "../../src/resolve/index.js";
import { caseOf, guest, label, number, op, span, symbol, toyEncode } from "./cases.js";

const CODE = 0x10_0000;

function compiled(input: ResolvedCase): Program {
  const { output, diagnostics } = compile(input, { lowering: "bundled", encode: toyEncode });
  expect(diagnostics).toEqual([]);
  return output;
}

const lengths = (program: Program): number[] => program.plan.lines.map((line) => line.lengthBytes);
const nops = (count: number): Item[] => Array.from({ length: count }, () => op("nop"));

test("jumps are as short as they can be, in both directions", () => {
  const far = [op("jmp", symbol(1)), ...nops(128), label(1, "end"), op("nop")];
  const near = [op("jmp", symbol(1)), ...nops(127), label(1, "end"), op("nop")];
  expect(lengths(compiled(caseOf(guest(far))))[0]).toBe(5);
  expect(lengths(compiled(caseOf(guest(near))))[0]).toBe(2);
  const back = (count: number): Item[] => [label(1, "top"), ...nops(count), op("jmp", symbol(1))];
  expect(lengths(compiled(caseOf(guest(back(126))))).at(-1)).toBe(2);
  expect(lengths(compiled(caseOf(guest(back(127))))).at(-1)).toBe(5);
});

test("a jump that grows makes others grow, as far as it takes", () => {
  // Each jump spans the next one; the last is too far, so all of them are.
  const code: Item[] = [];
  for (let i = 0; i < 10; i++)
    code.push(op("jmp", symbol(i)), ...nops(60), op("jmp", symbol(i + 1)), ...nops(62), label(i, `l${i}`));
  code.push(...nops(70), label(10, "end"));
  const program = compiled(caseOf(guest(code)));
  const total = lengths(program).reduce((sum, length) => sum + length, 0);
  expect(Number(program.image.symbols.at(-1)?.address)).toBe(CODE + total);
});

test("a piece that is long where it is short and short where it is long keeps the room and is filled", () => {
  const distance = { kind: "binary", op: "-", left: symbol(2), right: symbol(1), span } as const;
  const value = { kind: "binary", op: "-", left: number(131), right: distance, span } as const;
  const program = compiled(caseOf(guest([label(1, "a"), op("push", value), label(2, "b"), op("nop")])));
  expect(lengths(program)).toEqual([5, 1]);
  const bytes = program.image.segments.find((segment) => segment.name === "code")?.bytes;
  expect(Array.from(bytes ?? [])).toEqual([0x11, 0x11, 0x90, 0x90, 0x90, 0xaa]);
});

test("points stand in order of address, and several at one address in the order of the source", () => {
  const judged = { judgement: { kind: "rounds", rounds: [{ events: [] }] } } as const;
  const ring: Item = { kind: "ring", ring: 3, body: [op("nop", undefined, judged)], span };
  const program = compiled(caseOf(guest([op("nop"), ring, op("nop", undefined, judged)])));
  const own = program.plan.points.filter((point) => point.kind !== "handler");
  expect(own.map((point) => [Number(point.address) - CODE, point.kind])).toEqual([
    [1, "ring-enter"],
    [1, "visit"],
    [2, "ring-leave"],
    [2, "visit"],
    [3, "done"],
  ]);
  const handlers = program.plan.points.filter((point) => point.kind === "handler");
  expect(handlers).toHaveLength(32);
  expect(handlers.flatMap((point) => (point.hasErrorCode ? [point.vector] : []))).toEqual([
    8, 10, 11, 12, 13, 14, 17, 21, 29, 30,
  ]);
});

test("a label after a point is kept apart from it, so that a jump there does not meet the point", () => {
  const program = compiled(caseOf(guest([op("jmp", symbol(1)), { kind: "done", span }, label(1, "on"), op("nop")])));
  const [first] = program.plan.points.filter((point) => point.kind === "done");
  expect(Number(first?.address)).toBe(CODE + 2);
  expect(Number(program.image.symbols[0]?.address)).toBe(CODE + 3);
});

test("a guest resumes at the next statement or at the label of goto, and goto may leave the ring", () => {
  const away = { goto: symbol(1) };
  const ring: Item = { kind: "ring", ring: 3, body: [op("nop"), op("nop", undefined, away)], span };
  const program = compiled(caseOf(guest([ring, op("nop"), label(1, "after"), op("nop")])));
  expect(program.plan.lines.map((line) => [Number(line.resume) - CODE, line.leavesRing])).toEqual([
    [1, undefined],
    [3, true],
    [3, undefined],
    [4, undefined],
  ]);
});

test("places name the nearest label before, or the guest; with several guests labels carry the guest's name", () => {
  const code = [op("nop"), label(1, "again"), op("nop"), op("nop")];
  expect(compiled(caseOf(guest(code))).plan.lines.map((line) => line.place)).toEqual([
    "guest+0x00",
    "again+0x00",
    "again+0x01",
  ]);
  const l1 = guest([label(1, "here"), op("nop")], { name: "l1" });
  const l2 = guest([op("nop"), label(2, "here"), op("nop")], { name: "l2", under: "l1" });
  const program = compiled(caseOf(l1, l2));
  expect(program.plan.lines.map((line) => line.place)).toEqual(["l1.here+0x00", "l2+0x00", "l2.here+0x00"]);
  expect(program.image.nestedStarts?.map(({ guest: name, start }) => [name, start.rip])).toEqual([["l2", 0x110_0000n]]);
});

test("handlers follow the code behind a NOP, and their gates point to them", () => {
  const handlers = [{ vector: 0x80, code: [op("nop")], span }];
  const { image, plan } = compiled(caseOf(guest([op("nop")], { handlers })));
  expect(image.start.idtr.limitBytes).toBe(0x81 * 8 - 1);
  const idt = image.segments.find((segment) => segment.name === "idt");
  const gate = idt?.bytes.subarray(0x80 * 8);
  expect(Array.from(gate ?? [])).toEqual([0x02, 0x00, 0x30, 0x00, 0x00, 0xee, 0x10, 0x00]);
  expect(plan.points.filter((point) => point.kind === "done").map((point) => Number(point.address) - CODE)).toEqual([
    1, 3,
  ]);
});

test("in an expectation $ is its own place", () => {
  const value = {
    kind: "binary",
    op: "-",
    left: { kind: "here", span },
    right: { kind: "section-start", span },
    span,
  } as const;
  const expectation = { condition: { kind: "value", value } as const, span, text: "$ - $$", guest: "guest" };
  const program = compiled(caseOf(guest([op("nop"), op("nop"), { kind: "expect", expectation }, op("nop")])));
  expect(program.plan.expectations[0]?.condition).toEqual({ kind: "constant", value: 2n });
});

test("layout ends for pieces that would grow for ever, and says that the room is not enough", () => {
  const distance = { kind: "binary", op: "-", left: symbol(2), right: symbol(1), span } as const;
  const more = { kind: "binary", op: "+", left: distance, right: number(1), span } as const;
  const code: Item[] = [label(1, "a"), { kind: "zero", count: more, span }, label(2, "b"), op("nop")];
  const { diagnostics } = compile(caseOf(guest(code)), { lowering: "bundled", encode: toyEncode });
  expect(diagnostics.map((found) => found.code)).toEqual(["E4103"]);
});

test("the start state of a guest is a value that data may hold", () => {
  const info = { span, text: "", expansions: [] };
  const what = (name: "CR3" | "CS.RIGHTS" | "RSP"): Item => ({
    kind: "bytes",
    line: info,
    unitBytes: 4,
    values: [{ kind: "start", guest: "guest", what: name, span }],
  });
  const data = [what("CR3"), what("CS.RIGHTS"), what("RSP")];
  const { image } = compiled(caseOf(guest([op("nop")], { mode: "long64", bits: 64, data })));
  const bytes = image.segments.find((segment) => segment.name === "data")?.bytes ?? new Uint8Array();
  expect(Array.from(bytes)).toEqual([0x00, 0x00, 0x30, 0x00, 0x9b, 0xa0, 0x00, 0x00, 0x00, 0x00, 0x26, 0x00]);
});

test("zeros at the end of data take no bytes of the image", () => {
  const data: Item[] = [label(1, "area"), { kind: "zero", count: number(0x1000), span }, label(2, "end")];
  const { image } = compiled(caseOf(guest([op("nop")], { data })));
  expect(image.segments.filter((segment) => segment.role === "data")).toEqual([]);
  expect(image.symbols.map((s) => Number(s.address))).toEqual([0x18_0000, 0x18_1000]);
});

test("the listing shows labels, points and bytes", () => {
  const code = [label(1, "start"), op("jmp", symbol(1)), op("nop")];
  expect(renderListing(compiled(caseOf(guest(code))))).toBe(
    [
      "; code at 0x100000, 3 bytes",
      "start:",
      "00100000  11 11                    jmp",
      "00100002  aa                       nop",
      "          ; done",
      "",
    ].join("\n"),
  );
});
