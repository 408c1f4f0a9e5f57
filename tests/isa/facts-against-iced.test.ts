// The facts of the rows against iced-x86's: which instructions exit on each vendor's hardware, privilege, LOCK,
// serializing, flags. What differs stands here with its reason.

import { createRequire } from "node:module";
import { expect, test } from "vitest";
import type * as Iced from "iced-x86";
import { encodingOf, type Form, type Instruction, type Intercept } from "../../src/isa/index.js";
import { encodeForced } from "../../src/codec/index.js";
import { corpus } from "../codec/corpus.js";

const iced = createRequire(import.meta.url)("iced-x86") as typeof Iced;

/** Differences that are wanted: `mnemonic fact`, and why. */
const explained: readonly { readonly pattern: RegExp; readonly why: string }[] = [
  { pattern: /^(SUB|XOR) flags$/, why: "iced knows that the operands of this corpus are the same register" },
  { pattern: /^(RO[LR]|RC[LR]|SH[LR]D?|SAR) flags$/, why: "OF is defined for a count of 1; rows tell the union" },
  {
    pattern: /^(PUSHF|POPF|IRET)W flags$/,
    why: "the row tells the flags of all sizes; AC is in none of the low 16 bits",
  },
  { pattern: /^INT flags$/, why: "IF changes with the kind of gate" },
  { pattern: /^VMFUNC flags$/, why: "the manual gives VMFUNC no effect on the flags" },
  { pattern: /^(VMRUN|SKINIT) flags$/, why: "they replace the whole state, flags included" },
  { pattern: /^(INT3|INT1|UD[012]) (always exits on Intel)$/, why: "only where the exception bitmap asks for it" },
  { pattern: /^RSM always exits on Intel$/, why: "only in system management mode" },
  { pattern: /^UD[012] exits on AMD$/, why: "an intercept of the exception, which iced does not count here" },
  { pattern: /^(JMP|CALL) exits on AMD$/, why: "a task switch is intercepted, which iced does not count" },
  { pattern: /^SMSW exits on Intel$/, why: "the manual: SMSW reads the shadow and never exits" },
  { pattern: /^(MONITOR|MWAIT) privilege$/, why: "AMD can allow them in other rings; the manuals' default is ring 0" },
  { pattern: /^VMCALL privilege$/, why: "in a guest it exits at any privilege" },
];

const flagNumbers: Readonly<Record<string, number>> = {
  OF: iced.RflagsBits.OF,
  SF: iced.RflagsBits.SF,
  ZF: iced.RflagsBits.ZF,
  AF: iced.RflagsBits.AF,
  CF: iced.RflagsBits.CF,
  PF: iced.RflagsBits.PF,
  DF: iced.RflagsBits.DF,
  IF: iced.RflagsBits.IF,
  AC: iced.RflagsBits.AC,
};
const allFlags = Object.values(flagNumbers).reduce((sum, bit) => sum | bit, 0);

const flagMask = (names = ""): number => names.split(" ").reduce((sum, name) => sum | (flagNumbers[name] ?? 0), 0);

const listOf = (intercepts: Intercept | readonly Intercept[] | undefined): readonly Intercept[] =>
  intercepts === undefined ? [] : "exit" in intercepts ? [intercepts] : intercepts;

/** Names of the facts about which a form and iced disagree. */
function disagreements(row: Instruction, form: Form, theirs: Iced.Instruction): string[] {
  const code = theirs.opCode;
  const vmx = listOf(row.intercepts.vmx).filter((intercept) => !intercept.when.startsWith("never"));
  const svm = listOf(row.intercepts.svm);
  const { reads, writes, clears, sets, undefined: undefinedFlags } = row.flags;
  const flagsAgree =
    flagMask(reads) === (theirs.rflagsRead & allFlags) &&
    flagMask(writes) === (theirs.rflagsWritten & allFlags) &&
    flagMask(clears) === (theirs.rflagsCleared & allFlags) &&
    flagMask(sets) === (theirs.rflagsSet & allFlags) &&
    flagMask(undefinedFlags) === (theirs.rflagsUndefined & allFlags);
  const facts: readonly (readonly [string, boolean])[] = [
    ["always exits on Intel", code.intelVmExit === vmx.some((intercept) => intercept.when === "always")],
    ["exits on Intel", (code.intelVmExit || code.intelMayVmExit) === vmx.length > 0],
    ["exits on AMD", (code.amdVmExit || code.amdMayVmExit) === svm.length > 0],
    ["privilege", (code.cpl0 && !code.cpl3) === (row.sensitivity === "privileged")],
    ["serializing", code.isSerializingIntel === row.serializing],
    ["LOCK", code.canUseLockPrefix === form.lock],
    ["flags", flagsAgree],
  ];
  return facts.filter(([, agrees]) => !agrees).map(([name]) => `${row.mnemonic} ${name}`);
}

test("facts of every row agree with iced-x86, or the difference is explained", () => {
  const seen = new Set<Form>();
  const found = new Set<string>();
  for (const bits of [64, 32, 16] as const) {
    for (const { instruction, form, value } of corpus(bits)) {
      if (seen.has(form) || form.use === "alias" || encodingOf(form).wait) continue;
      const encoded = encodeForced(value, form, { bits, address: 0n });
      if (encoded === undefined) continue;
      seen.add(form);
      const decoder = new iced.Decoder(bits, encoded.bytes, iced.DecoderOptions.None);
      const theirs = decoder.decode();
      for (const name of disagreements(instruction, form, theirs)) found.add(name);
      theirs.free();
      decoder.free();
    }
  }
  expect([...found].filter((name) => !explained.some(({ pattern }) => pattern.test(name)))).toEqual([]);
  expect(explained.filter(({ pattern }) => ![...found].some((name) => pattern.test(name)))).toEqual([]);
  expect(seen.size).toBeGreaterThan(1200);
});
