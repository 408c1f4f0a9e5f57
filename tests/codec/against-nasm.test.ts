// The encoder against NASM: every form of the table in every shape of its operands and every mode gives the bytes of
// `nasm -Ox`. What differs is listed here with its reason.

import { describe, expect, test } from "vitest";
import { hexBytes } from "../../src/base/index.js";
import { encode, format, type CodeBits } from "../../src/codec/index.js";
import { allBits, corpus, type CorpusEntry } from "./corpus.js";
import { assembleWithNasm, hasNasm } from "./nasm.js";

/** A difference that is known and wanted. */
interface Explained {
  readonly mnemonics: readonly string[];
  readonly bits: readonly CodeBits[];
  readonly why: string;
}

const explained: readonly Explained[] = [
  { mnemonics: ["push"], bits: [16], why: "NASM cuts a value off that does not fit the mode's size; we refuse it" },
  { mnemonics: ["invpcid"], bits: [64], why: "NASM adds a REX.W that the manual does not have" },
  { mnemonics: ["rdpkru", "wrpkru", "skinit"], bits: [16, 32], why: "NASM has them in 64-bit code only" },
  { mnemonics: ["pmovmskb", "pextrw"], bits: [64], why: "NASM has the 64-bit register only with XMM registers" },
  {
    mnemonics: ["incsspd", "rdsspd", "wrssd", "wrussd"],
    bits: [16],
    why: "NASM adds a 66, which makes another instruction of WRSSD; the manual has none",
  },
];

/** The text that NASM takes: branch targets, which are absolute here, are relative to the line there. */
function nasmLine(entry: CorpusEntry): string {
  const text = format(entry.value);
  if (!entry.form.operands.startsWith("rel")) return text;
  return text.replace(
    /(-?)0x([0-9a-f]+)/,
    (_, sign: string, digits: string) => `$${sign === "-" ? "-" : "+"}0x${digits}`,
  );
}

describe.runIf(hasNasm())("against NASM", () => {
  for (const bits of allBits) {
    test(`every form in ${bits}-bit code has NASM's bytes`, { timeout: 60_000 }, () => {
      const entries = [...corpus(bits)];
      const lines = entries.map(nasmLine);
      const theirs = assembleWithNasm(lines, bits);
      const differences: string[] = [];
      const used = new Set<Explained>();
      entries.forEach((entry, i) => {
        const encoded = encode(entry.value, { bits, address: 0n });
        const ours = "bytes" in encoded ? hexBytes(encoded.bytes) : undefined;
        if (ours === theirs[i]) return;
        const reason = explained.find((e) => e.mnemonics.includes(entry.value.mnemonic) && e.bits.includes(bits));
        if (reason) used.add(reason);
        else
          differences.push(
            `${lines[i]}: ours ${ours ?? "refused"}, NASM ${theirs[i] ?? "refused"} (${entry.form.code})`,
          );
      });
      expect(differences.slice(0, 20)).toEqual([]);
      expect(entries.length).toBeGreaterThan(10_000);
      const unused = explained.filter((e) => e.bits.includes(bits) && !used.has(e));
      expect(unused).toEqual([]);
    });
  }
});
