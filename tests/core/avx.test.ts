// What guards AVX, and its state: CR4.OSXSAVE, XCR0, alignment, upper halves, the component in XSAVE areas.

import { expect, test } from "vitest";
import type { Machine } from "../../src/machine/index.js";
import { code, newMachine, prepare, runToStop } from "./support.js";

const area = 0x11_0000n;
const cr4 = { PAE: 0x20n, OSFXSR: 0x200n, OSXSAVE: 0x4_0000n };
const all = cr4.PAE | cr4.OSFXSR | cr4.OSXSAVE;

function start(
  program: Uint8Array,
  { controls = all, xcr0 = 7n, cr0 = 0x8001_0033n, platform = "haswell" } = {},
): Machine {
  const machine = newMachine(platform);
  prepare(machine, Uint8Array.from([...program, 0xf4]), "long64");
  machine.setRegister("CR4", controls);
  machine.setRegister("XCR0", xcr0);
  machine.setRegister("CR0", cr0);
  machine.setRegister("RBX", area);
  machine.writePhysical(
    area,
    Uint8Array.from({ length: 64 }, (_, i) => i + 1),
  );
  return machine;
}

/** The vector in which the run ends; undefined at the end of the code. */
function endOf(machine: Machine): number | undefined {
  const { stop } = runToStop(machine);
  return stop.kind === "point" ? stop.index : (expect(stop.kind).toBe("halted"), undefined);
}

const load = code("vmovups ymm1, [rbx]", "c5fc100b");

const guards: readonly (readonly [title: string, options: Parameters<typeof start>[1], end: number | undefined])[] = [
  ["works where the system enables it", {}, undefined],
  ["is #UD without CR4.OSXSAVE", { controls: cr4.PAE | cr4.OSFXSR }, 6],
  ["is #UD without AVX in XCR0", { xcr0: 3n }, 6],
  ["needs no CR4.OSFXSR", { controls: cr4.PAE | cr4.OSXSAVE }, undefined],
  ["is #NM with CR0.TS", { cr0: 0x8001_003bn }, 7],
  ["ignores CR0.EM", { cr0: 0x8001_0037n }, undefined],
  ["is #UD on a processor without AVX", { platform: "nehalem" }, 6],
];

test.each(guards)("AVX %s", (_, options, end) => {
  expect(endOf(start(load, options))).toBe(end);
});

test.each([
  ["vmovaps ymm1, [rbx + 16]", "c5fc284b10", 13],
  ["vmovaps xmm1, [rbx + 16]", "c5f8284b10", undefined],
  ["vmovups ymm1, [rbx + 3]", "c5fc104b03", undefined],
  ["vaddps ymm1, ymm0, [rbx + 3]", "c5fc584b03", undefined],
  ["addps xmm1, [rbx + 3]", "0f584b03", 13],
  ["vmovdqa with a register in VEX.vvvv", "c5f16fc8", 6],
  ["lock vmovups", "f0c5fc100b", 6],
  ["66 before VEX", "66c5fc100b", 6],
])("%s", (text, hex, end) => {
  expect(endOf(start(code(text, hex)))).toBe(end);
});

test("SSE keeps the upper half of a register, VEX clears it, VZEROUPPER clears all of them", () => {
  const program = code(
    "vmovups ymm1, [rbx] | vmovups ymm2, ymm1 | movaps xmm2, xmm0 | vmovaps xmm3, xmm1 | vmovups [rbx + 64], ymm2 | " +
      "vmovups [rbx + 96], ymm3 | vzeroupper | vmovups [rbx + 128], ymm1",
    "c5fc100bc5fc10d10f28d0c5f828d9c5fc115340c5fc115b60c5f877c5fc118b80000000",
  );
  const machine = start(program);
  expect(endOf(machine)).toBeUndefined();
  const half = (at: bigint): number[] => [...machine.readPhysical(area + at, 16)];
  const from = (first: number): number[] => Array.from({ length: 16 }, (_, i) => i + first);
  const zeros = from(0).map(() => 0);
  expect([half(64n), half(80n)]).toEqual([zeros, from(17)]);
  expect([half(96n), half(112n)]).toEqual([from(1), zeros]);
  expect([half(128n), half(144n)]).toEqual([from(1), zeros]);
});

test("XSAVE puts the upper halves at offset 576, XSAVEC behind the header, and XRSTOR brings them back", () => {
  const program = code(
    "vmovups ymm2, [rbx] | mov eax, 7 | xor edx, edx | xsave [rbx + 64] | xsavec [rbx + 1024] | vzeroall | " +
      "xrstor [rbx + 64] | vmovups [rbx + 2048], ymm2 | mov byte [rbx + 576], 3 | xrstor [rbx + 64] | " +
      "vmovups [rbx + 2080], ymm2",
    "c5fc1013b80700000031d20fae63400fc7a300040000c5fc770fae6b40c5fc119300080000" +
      "c68340020000030fae6b40c5fc119320080000",
  );
  const machine = start(program, { platform: "skylake" });
  expect(endOf(machine)).toBeUndefined();
  const bytes = (at: bigint, count: number): number[] => [...machine.readPhysical(area + at, count)];
  const value = Array.from({ length: 32 }, (_, i) => i + 1);
  const upper = value.slice(16);
  expect(bytes(64n + 576n + 32n, 16)).toEqual(upper);
  expect(machine.readU64(area + 64n + 512n) & 4n).toBe(0n);
  expect(bytes(1024n + 576n + 32n, 16)).toEqual(upper);
  expect(machine.readU64(area + 1024n + 520n)).toBe((1n << 63n) | 7n);
  expect(bytes(2048n, 32)).toEqual(value);
  // The header now says that AVX state is not in the area: it becomes 0.
  expect(bytes(2080n, 32)).toEqual([...value.slice(0, 16), ...upper.map(() => 0)]);
});
