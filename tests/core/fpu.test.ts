// What guards x87, MMX and SSE: control bits, pending exceptions, alignment, reserved bits; XSAVE and XCR0. The values of
// moves and areas are compared with a processor in tests/hostcpu/extended-state.test.ts.

import { expect, test } from "vitest";
import type { Machine } from "../../src/machine/index.js";
import { code, codeAddress, newMachine, prepare, runToStop } from "./support.js";

const area = 0x11_0000n;
const cr0 = { MP: 2n, EM: 4n, TS: 8n, NE: 0x20n };
const cr4 = { PAE: 0x20n, OSFXSR: 0x200n, OSXSAVE: 0x4_0000n };

interface Row {
  readonly title: string;
  readonly code: Uint8Array;
  /** Bits of CR0 besides PE, ET, AM and PG; NE by default. */
  readonly cr0?: bigint;
  readonly cr4?: bigint;
  readonly platform?: string;
  /** What the run ends in: a vector, or the end of the code. */
  readonly vector?: number;
  /** Offset of the saved RIP. */
  readonly saved?: number;
}

const movups = code("movups xmm0, xmm1", "0f10c1");
const fxsave = code("fxsave [rbx]", "0fae03");
const maskedThenUnmasked = "66c7034003d92bd9c0";

const rows: readonly Row[] = [
  { title: "x87 with TS", code: code("fld1", "d9e8"), cr0: cr0.NE | cr0.TS, vector: 7 },
  { title: "x87 with EM", code: code("fld1", "d9e8"), cr0: cr0.NE | cr0.EM, vector: 7 },
  { title: "WAIT with TS alone", code: code("fwait", "9b"), cr0: cr0.NE | cr0.TS },
  { title: "WAIT with TS and MP", code: code("fwait", "9b"), cr0: cr0.NE | cr0.TS | cr0.MP, vector: 7 },
  { title: "MMX with EM", code: code("emms", "0f77"), cr0: cr0.NE | cr0.EM, vector: 6 },
  { title: "MMX with TS", code: code("emms", "0f77"), cr0: cr0.NE | cr0.TS, vector: 7 },
  { title: "SSE without OSFXSR", code: movups, cr4: 0n, vector: 6 },
  { title: "SSE with EM and TS", code: movups, cr0: cr0.NE | cr0.EM | cr0.TS, vector: 6 },
  { title: "SSE with TS", code: movups, cr0: cr0.NE | cr0.TS, vector: 7 },
  { title: "FXSAVE without OSFXSR", code: fxsave, cr4: 0n },
  { title: "FXSAVE with EM on Intel", code: fxsave, cr0: cr0.NE | cr0.EM, vector: 6 },
  { title: "FXSAVE with EM on AMD", code: fxsave, cr0: cr0.NE | cr0.EM, platform: "zen", vector: 7 },
  { title: "FXSAVE out of alignment", code: code("fxsave [rbx + 8]", "0fae4308"), vector: 13 },
  { title: "MOVAPS out of alignment", code: code("movaps xmm0, [rbx + 8]", "0f284308"), vector: 13 },
  { title: "MOVUPS out of alignment", code: code("movups xmm0, [rbx + 8]", "0f104308") },
  {
    title: "a reserved bit of MXCSR",
    code: code("mov dword [rbx], 0x10000 | ldmxcsr [rbx]", "c703000001000fae13"),
    vector: 13,
    saved: 6,
  },
  {
    title: "an unmasked exception waits for the next instruction",
    code: code("mov word [rbx], 0x340 | fldcw [rbx] | fld st0 | nop | fld1", `${maskedThenUnmasked}90d9e8`),
    vector: 16,
    saved: 10,
  },
  {
    title: "FNSTSW and FNCLEX do not wait",
    code: code(
      "mov word [rbx], 0x340 | fldcw [rbx] | fld st0 | fnstsw ax | fnclex | fld1",
      `${maskedThenUnmasked}dfe0dbe2d9e8`,
    ),
  },
  { title: "XGETBV without OSXSAVE", code: code("xgetbv", "0f01d0"), vector: 6 },
  { title: "XSAVE without OSXSAVE", code: code("xsave [rbx]", "0fae23"), vector: 6 },
  {
    title: "XSAVE out of alignment",
    code: code("xsave [rbx + 16]", "0fae6310"),
    cr4: cr4.OSFXSR | cr4.OSXSAVE,
    vector: 13,
  },
  {
    title: "XSETBV of AVX, which is not reported",
    platform: "penryn",
    code: code("mov eax, 7 | xor edx, edx | xor ecx, ecx | xsetbv", "b80700000031d231c90f01d1"),
    cr4: cr4.OSXSAVE,
    vector: 13,
    saved: 9,
  },
  {
    title: "XSETBV without x87",
    code: code("mov eax, 2 | xor edx, edx | xor ecx, ecx | xsetbv", "b80200000031d231c90f01d1"),
    cr4: cr4.OSXSAVE,
    vector: 13,
    saved: 9,
  },
  {
    title: "XRSTOR of a component that XCR0 lacks",
    code: code(
      "xor edx, edx | xor ecx, ecx | mov eax, 3 | xsetbv | mov dword [rbx + 512], 4 | xrstor [rbx]",
      "31d231c9b8030000000f01d1c78300020000040000000fae2b",
    ),
    cr4: cr4.OSFXSR | cr4.OSXSAVE,
    vector: 13,
    saved: 22,
  },
  {
    title: "XRSTOR of a header that is not 0 behind XCOMP_BV",
    code: code(
      "xor edx, edx | xor ecx, ecx | mov eax, 3 | xsetbv | mov dword [rbx + 528], 1 | xrstor [rbx]",
      "31d231c9b8030000000f01d1c78310020000010000000fae2b",
    ),
    cr4: cr4.OSFXSR | cr4.OSXSAVE,
    vector: 13,
    saved: 22,
  },
];

function start(row: Omit<Row, "title">): Machine {
  const machine = newMachine(row.platform ?? "skylake");
  prepare(machine, Uint8Array.of(...row.code, 0xf4), "long64");
  machine.setRegister("RBX", area);
  machine.setRegister("CR0", 0x8004_0011n | (row.cr0 ?? cr0.NE));
  machine.setRegister("CR4", cr4.PAE | (row.cr4 ?? cr4.OSFXSR));
  machine.writePhysical(
    area,
    Uint8Array.from({ length: 16 }, (_, i) => i + 1),
  );
  return machine;
}

test.each(rows.map((row) => [row.title, row] as const))("%s", (_, row) => {
  const { stop, events } = runToStop(start(row));
  if (row.vector === undefined) {
    expect(stop.kind).toBe("halted");
    return;
  }
  expect(stop).toMatchObject({ kind: "point", index: row.vector });
  expect(events.find((event) => event.code === row.vector)?.c).toBe(codeAddress + BigInt(row.saved ?? 0));
});

test("XSAVE, XSAVEC and XRSTOR carry x87 and SSE state, and the header says what is in use", () => {
  const program = code(
    "xor edx, edx | xor ecx, ecx | mov eax, 3 | xsetbv | fninit | fldpi | movups xmm2, [rbx] | xsave [rbx + 64] | " +
      "fninit | movups xmm2, xmm3 | xsavec [rbx + 1024] | xrstor [rbx + 64] | fxsave64 [rbx + 2048] | hlt",
    "31d231c9b8030000000f01d1dbe3d9eb0f10130fae6340dbe30f10d30fc7a3000400000fae6b40480fae8300080000f4",
  );
  const machine = start({ code: program, cr4: cr4.OSFXSR | cr4.OSXSAVE });
  expect(runToStop(machine).stop.kind).toBe("halted");
  const xsave = area + 64n;
  expect(machine.readU64(xsave + 512n)).toBe(3n);
  expect(machine.readU64(xsave + 520n)).toBe(0n);
  // After FNINIT the register still holds pi, so x87 state is not as initialized; XMM2 is 0 again.
  expect(machine.readU64(area + 1024n + 512n)).toBe(1n);
  expect(machine.readU64(area + 1024n + 520n)).toBe((1n << 63n) | 3n);
  const restored = area + 2048n;
  expect(machine.readU64(restored + 32n)).toBe(0xc90f_daa2_2168_c235n);
  expect(machine.readPhysical(restored + 160n + 32n, 16)).toEqual(Uint8Array.from({ length: 16 }, (_, i) => i + 1));
});
