// The decoder against iced-x86 on random bytes: validity, length and operands agree for all that the table holds.
// FUZZ_COUNT and FUZZ_SEED make it as long as wanted (`npm run fuzz:codec`).

import { describe, expect, test } from "vitest";
import { hexBytes } from "../../src/base/index.js";
import { decode, format } from "../../src/codec/index.js";
import { allBits } from "./corpus.js";
import { comparable, decodeWithIced, type IcedInstruction } from "./iced.js";
import { codeLikeBytes, numbers } from "./random.js";

const count = Number(process.env["FUZZ_COUNT"] ?? 20_000);
const seed = Number(process.env["FUZZ_SEED"] ?? 20_26);

/** Instructions that the table does not hold, by iced's names. They must be invalid here, not misread. */
const notInTable = new RegExp(
  "^(EVEX|VEX_(?!(Andn|Bextr|Bls|Bzhi|Mulx|Pdep|Pext|Sarx|Shlx|Shrx|Rorx)_)|XOP|D3NOW|Femms|Xstore|Xcrypt|Xsha|Via|" +
    "P(abs|align|sign|shufb|h(add|sub)|maddub|mulhrsw|movsx|movzx|max[su][bdw]|min[su][bdw]|cmp[ei]str|cmpeqq|cmpgtq|" +
    "ackusdw|extr[bdq]|extrw_r\\d+m16|insr[bdq]|blend|test|clmul|hmin|mul(dq|ld)|ackus|config|twrite)|Phminposuw|Sha|" +
    "Aes|Gf2p8|Round|Blend|Dpp|Insertps|Extractps|Mpsadbw|Movntdqa|Movnts[sd]|Extrq|Insertq|Encl|Enqcmd|Rdpru|Tlbsync|" +
    "Invlpgb|Psmash|Pvalidate|Rmp|Xbegin|Xabort|Xend|Xtest|A(add|and|or|xor)_|Wrmsrns|Eret|Movdir64b|Cldemote|Hreset|" +
    "Seam|Tdcall|Stui|Clui|Testui|Uiret|Senduipi|Xsusldtrk|Xresldtrk|Loadiwkey|Encodekey|Rdmsrlist|Wrmsrlist|Pbndkb|" +
    "Urdmsr|Uwrmsr|Ccs_|Vmgexit|Packusdw|Loadall|Bnd|Getsecq|Zalloc|Mcommit|Montmul|Getbind|Pause_Nop|KNC|MVEX|Lkgs|Prefetch)",
);

/** Where iced writes operands that we do not, in another order, or names a register by another width. */
const writtenDifferently =
  /^((Ins|Outs|Movs|Cmps|Stos|Lods|Scas)[bwdq]_|Xlat|Fxch|Prefetch|Cldemote|Xchg_|(Lldt|Ltr|Verr|Verw|Lmsw|Arpl|Mov_Sreg)_r\d+m16)/;

function difference(bytes: Uint8Array, theirs: IcedInstruction, bits: 16 | 32 | 64): string | undefined {
  const ours = decode(bytes, 0, bits, 0n);
  const text = ours.kind === "instruction" ? format(ours.value) : ours.kind;
  const shown = `${bits} ${hexBytes(bytes)}: ours ${text}, iced ${theirs.code} ${theirs.operands.join(", ")}`;
  if (ours.kind !== "instruction") return theirs.valid && !notInTable.test(theirs.code) ? shown : undefined;
  // F3 in front of XCHG R8, RAX: iced has PAUSE, which the manual gives the opcode F3 90 without REX.B.
  if (theirs.code === "Pause" && ours.value.mnemonic === "xchg") return undefined;
  // REX.W before TPAUSE and UMWAIT: iced names a 64-bit register, the manual has 32-bit ones only.
  if (/^(Tpause|Umwait)_r64$/.test(theirs.code)) return undefined;
  if (!theirs.valid || ours.length !== theirs.length) return shown;
  const isTarget = ours.form.operands.startsWith("rel");
  const operands = ours.value.operands.map((operand) => comparable(operand, isTarget));
  if (writtenDifferently.test(theirs.code)) return undefined;
  if (operands.join() === theirs.operands.join()) return undefined;
  return `${shown} (${operands.join(", ")})`;
}

/** Bytes of one opcode with every extension in ModRM: with memory, and all registers, which some opcodes tell apart. */
const modrmBytes = [
  ...Array.from({ length: 8 }, (_, reg) => reg << 3),
  ...Array.from({ length: 64 }, (_, i) => 0xc0 + i),
];

/** Every opcode of the one-byte map and of 0F with every extension, after each mandatory prefix. */
function* opcodesWithExtensions(): Generator<Uint8Array> {
  for (const prefix of [[], [0x66], [0xf3], [0xf2]])
    for (const escape of [[], [0x0f]])
      for (let opcode = 0; opcode < 256; opcode++)
        for (const modrm of modrmBytes) {
          const bytes = [...prefix, ...escape, opcode, modrm];
          yield Uint8Array.from([...bytes, ...Array.from({ length: 15 - bytes.length }, () => 0)]);
        }
}

describe("against iced-x86", () => {
  test.each(allBits)("extensions of opcodes in %i-bit code exist or not alike", (bits) => {
    const differences: string[] = [];
    for (const bytes of opcodesWithExtensions()) {
      const found = difference(bytes, decodeWithIced(bytes, bits), bits);
      if (found !== undefined) differences.push(found);
    }
    expect(differences.slice(0, 20)).toEqual([]);
  });

  for (const bits of allBits) {
    test(`${count} byte strings as ${bits}-bit code, seed ${seed}`, { timeout: 3_600_000 }, () => {
      const next = numbers(seed + bits);
      const differences: string[] = [];
      let decoded = 0;
      for (let i = 0; i < count; i++) {
        const bytes = codeLikeBytes(next);
        const theirs = decodeWithIced(bytes, bits);
        const found = difference(bytes, theirs, bits);
        if (found !== undefined) differences.push(found);
        if (theirs.valid) decoded++;
      }
      expect(differences.slice(0, 20)).toEqual([]);
      expect(decoded).toBeGreaterThan(count / 2);
    });
  }
});
