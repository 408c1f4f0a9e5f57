// The knob `tlb`: how long a translation outlives the page-table entry that it comes from (Intel SDM vol. 3A, "Operations
// that Invalidate TLBs and Paging-Structure Caches").

import { describe, expect, test } from "vitest";
import { findPlatform, varyPlatform, type Variation } from "../../src/isa/index.js";
import { loadCore, Machine } from "../../src/machine/index.js";
import { assembleText } from "../differential/assemble.js";
import { runTrapFiles } from "../support/trap-suite.js";
import { codeAddress, prepare, runToStop } from "./support.js";

type Choice = NonNullable<Variation["tlb"]>;

const [page, first, second] = [0xa0_0000n, 0x30_0000n, 0x31_0000n];
/** The directory entry that maps `page`, and a table for it. */
const [directoryEntry, table] = [0x21_2028n, 0x22_8000n];

/** A machine in 64-bit mode whose `page` shows what is at `first`: 1; at `second` there is a 2. */
function started(choice: Choice, text: string, flags = 7n): Machine {
  const skylake = findPlatform("skylake");
  if (skylake === undefined) throw new Error("no platform skylake");
  const platform = varyPlatform({ ...skylake, memoryBytes: 16 << 20 }, { tlb: choice });
  const machine = new Machine(loadCore(), { platform });
  const again = `mov ebx, [${page}]`;
  const change = `mov dword [${table}], ${second | flags}`;
  const program = [`mov eax, [${page}]`, change, ...text.split("\n"), again, "hlt"].join("\n");
  prepare(machine, assembleText(program, 64, Number(codeAddress)), "long64");
  machine.writeU64(directoryEntry, table | 7n);
  machine.writeU64(table, first | flags | 0x60n);
  machine.writeU64(table + 8n, second | 7n);
  machine.writeU32(first, 1);
  machine.writeU32(second, 2);
  machine.setRegister("CR4", 0xa0n);
  return machine;
}

const ran = (machine: Machine): readonly [bigint, bigint] => {
  expect(runToStop(machine).stop).toEqual({ kind: "halted" });
  return [machine.register("RAX"), machine.register("RBX")];
};

const global = 0x107n;
const reload = "mov rdx, cr3\nmov cr3, rdx";

describe.each([
  ["nothing", "nop", 7n, { usual: 1n, eager: 2n, lazy: 1n }],
  ["INVLPG", `invlpg [${page}]`, 7n, { usual: 2n, eager: 2n, lazy: 2n }],
  ["INVLPG of another page", `invlpg [${page + 0x1000n}]`, 7n, { usual: 2n, eager: 2n, lazy: 1n }],
  ["MOV to CR3", reload, 7n, { usual: 2n, eager: 2n, lazy: 2n }],
  ["MOV to CR3, a global page", reload, global, { usual: 2n, eager: 2n, lazy: 1n }],
  ["INVLPG, a global page", `invlpg [${page}]`, global, { usual: 2n, eager: 2n, lazy: 2n }],
  ["CR0.WP", "mov rdx, cr0\nxor edx, 0x10000\nmov cr0, rdx", 7n, { usual: 2n, eager: 2n, lazy: 1n }],
  ["CR4.PGE", "mov rdx, cr4\nxor edx, 0x80\nmov cr4, rdx", global, { usual: 2n, eager: 2n, lazy: 2n }],
] as const)("%s", (_what, text, flags, expected) => {
  test.each(["usual", "eager", "lazy"] as const)("%s", (choice) => {
    expect(ran(started(choice, text, flags))).toEqual([1n, expected[choice]]);
  });
});

describe("PCIDs", () => {
  const load = (value: bigint): string => `mov rdx, ${value}\nmov cr3, rdx`;
  const kept = 1n << 63n;
  test.each([
    ["a switch to another and back keeps what bit 63 says", `${load(0x21_0001n)}\n${load(0x21_0000n | kept)}`, 1n],
    ["without bit 63 the PCID's own go", `${load(0x21_0001n)}\n${load(0x21_0000n)}`, 2n],
    [
      "INVPCID of one address",
      `mov qword [${second + 16n}], 0\nmov rdx, ${page}\nmov [${second + 24n}], rdx\nxor ecx, ecx\ninvpcid rcx, [${second + 16n}]`,
      2n,
    ],
    ["INVPCID of another PCID", `mov qword [${second + 16n}], 1\nmov ecx, 1\ninvpcid rcx, [${second + 16n}]`, 1n],
  ])("%s", (_what, text, expected) => {
    const machine = started("lazy", text);
    machine.setRegister("CR4", 0x2_00a0n);
    expect(ran(machine)).toEqual([1n, expected]);
  });
});

test.each([
  ["usual", ["passed", "failed"]],
  ["eager", ["passed", "passed"]],
  ["lazy", ["failed", "failed"]],
] as const)("a program that invalidates too little is noticed where translations are kept: tlb=%s", (tlb, outcomes) => {
  const { files } = runTrapFiles(["tests/core/variation/translations.trap"], { variation: { tlb } });
  const cases = files.flatMap((file) => file.cases);
  expect(cases.map(({ outcome }) => outcome)).toEqual(outcomes);
  for (const { outcome, detail } of cases) if (outcome === "failed") expect(detail).toContain(`--vary tlb=${tlb}`);
});

test("a right that was given without INVLPG is missing once: the fault forgets the translation", () => {
  const machine = started("lazy", `mov dword [${page}], 5`, 5n);
  machine.writeU64(table, first | 0x65n);
  // The changed entry allows writing.
  const program = [`mov eax, [${page}]`, `mov dword [${table}], ${second | 7n}`, `mov dword [${page}], 5`, "hlt"];
  machine.writePhysical(codeAddress, assembleText(program.join("\n"), 64, Number(codeAddress)));
  machine.setRegister("CR0", machine.register("CR0") | 0x1_0000n);
  expect(runToStop(machine).stop).toEqual({ kind: "point", index: 14 });
  expect(machine.readU64(machine.register("RSP"))).toBe(3n);
});

test("a write through a translation without the dirty flag sets it", () => {
  const machine = started("lazy", `mov dword [${page}], 5`);
  machine.writeU64(table, first | 7n | 0x20n);
  expect(ran(machine)).toEqual([1n, 5n]);
  expect(machine.readU64(table)).toBe(second | 0x67n);
});
