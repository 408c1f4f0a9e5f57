// SIMD floating-point exceptions that are not masked, and opcodes of instruction sets that the table lacks.

import { expect, test } from "vitest";
import { code, newMachine, prepare, runToStop } from "./support.js";

const area = 0x11_0000n;

/** Runs code with RBX at the area, CR4.OSFXSR and what else is asked for. */
function run(program: Uint8Array, platform: string, extraCr4 = 0n) {
  const machine = newMachine(platform);
  const mode = machine.platform.cpu.features.includes("LONG_MODE") ? "long64" : "prot32";
  prepare(machine, Uint8Array.from([...program, 0xf4]), mode);
  machine.setRegister("CR4", (mode === "long64" ? 0x20n : 0x10n) | 0x200n | extraCr4);
  machine.setRegister("RBX", area);
  return machine;
}

/** MXCSR and two vectors at RBX: `ldmxcsr [rbx] | movups xmm0, [rbx + 16] | OP xmm0, [rbx + 32] | hlt`. */
const program = (opcode: number): Uint8Array => Uint8Array.from([0x0f, 0xae, 0x13, 0x0f, 0x10, 0x43, 0x10, 0x0f, opcode, 0x43, 0x20]); // prettier-ignore

const ops = { addps: 0x58, mulps: 0x59, divps: 0x5e, minps: 0x5d } as const;
const one = 0x3f80_0000;
const largest = 0x7f7f_ffff;
const bits = { DE: 2, OE: 8, UE: 16, PE: 32, IE: 1, ZE: 4 } as const;

interface Row {
  readonly title: string;
  readonly op: keyof typeof ops;
  readonly unmasked: keyof typeof bits;
  readonly a: readonly number[];
  readonly b: readonly number[];
  readonly flags: number;
}

// The flags are those that a processor leaves in the same place (Intel SDM vol. 1, "SIMD Floating-Point Exceptions").
const rows: readonly Row[] = [
  {
    title: "what is found before an operation keeps what would come after it from being flagged",
    op: "addps",
    unmasked: "DE",
    a: [1, one, largest, 0],
    b: [one, 0x3300_0001, largest, 0],
    flags: bits.DE,
  },
  {
    title: "masked exceptions of other elements are flagged with an unmasked one",
    op: "addps",
    unmasked: "OE",
    a: [1, one, largest, 0],
    b: [one, 0x3300_0001, largest, 0],
    flags: bits.OE | bits.PE | bits.DE,
  },
  {
    title: "an unmasked underflow needs no lost bits",
    op: "mulps",
    unmasked: "UE",
    a: [0x0080_0000, one, one, one],
    b: [0x3f00_0000, one, one, one],
    flags: bits.UE,
  },
  {
    title: "a division by zero beside a denormal operand",
    op: "divps",
    unmasked: "ZE",
    a: [one, 1, largest, 0x0080_0000],
    b: [0, one, 0x3f00_0000, 0x4040_0000],
    flags: bits.ZE | bits.DE,
  },
  {
    title: "a signalling NaN of MIN",
    op: "minps",
    unmasked: "IE",
    a: [0x7f80_0001, 1, 0x7fc0_0000, one],
    b: [1, one, 1, 0x7f80_0000],
    flags: bits.IE | bits.DE,
  },
];

test.each(rows)("$title", ({ op, unmasked, a, b, flags }) => {
  for (const [extra, vector] of [[0x400n, 19], [0n, 6]] as const) {
    const machine = run(program(ops[op]), "haswell", extra);
    machine.writeU32(area, 0x1f80 & ~(bits[unmasked] << 7));
    a.forEach((value, i) => machine.writeU32(area + 16n + BigInt(i * 4), value));
    b.forEach((value, i) => machine.writeU32(area + 32n + BigInt(i * 4), value));
    expect(runToStop(machine).stop).toMatchObject({ kind: "point", index: vector });
    expect(machine.register("MXCSR") & 0x3fn).toBe(BigInt(flags));
    expect(machine.register("XMM0") & 0xffff_ffffn).toBe(BigInt(a[0] ?? 0));
  }
}); // prettier-ignore

/** Opcodes of sets that are not in the table: the models that have the set, and one that has it not. */
const foreign = [
  ["vfmaddps xmm0, xmm1, xmm2, xmm3", "c4e37168c230", "bulldozer", "zen"],
  ["vmovups zmm0, zmm1", "62f17c4810c1", "skylake", "haswell"],
  ["pfadd mm0, mm1", "0f0fc19e", "athlon64", "haswell"],
  ["vpcomb xmm0, xmm1, xmm2, 0", "8fe870ccc200", "bulldozer", "zen"],
] as const;

test.each(foreign)("%s ends the run where the processor has it, and is #UD elsewhere", (text, hex, has, lacks) => {
  const stop = runToStop(run(code(text, hex), has)).stop;
  expect(stop.kind).toBe("unsupported");
  expect(stop.kind === "unsupported" && stop.what).toContain(hex.replace(/(..)/g, "$1 ").trim());
  expect(runToStop(run(code(text, hex), lacks)).stop).toMatchObject({ kind: "point", index: 6 });
});
