// Flag instructions, no-operations, hints (Intel SDM vol. 2).

import { sdm2 } from "../citations.js";
import { form, instruction, type FlagEffects, type Instruction } from "../instruction.js";

const plain = (
  mnemonic: string,
  code: string,
  summary: string,
  rest: Partial<Omit<Instruction, "forms" | "cite">> = {},
): Instruction => instruction({ mnemonic, summary, cite: sdm2(mnemonic), forms: [form(code)], ...rest });

const not64 = { modes: "not64" } as const;
const stack64 = { modes: "only64", size64: "default64" } as const;

const statusAndControl: FlagEffects = { writes: "CF PF AF ZF SF TF IF DF OF IOPL NT AC ID", clears: "RF" };
const pushedFlags: FlagEffects = { reads: "CF PF AF ZF SF TF IF DF OF IOPL NT AC VIF VIP ID" };

/** PUSHF and POPF: the operand size is that of the suffix, or of the mode where none is written. */
function flagsOnStack(name: "PUSHF" | "POPF"): readonly Instruction[] {
  const push = name === "PUSHF";
  const opcode = push ? "9C" : "9D";
  const forms = {
    W: form(`o16 ${opcode}`),
    D: form(`o32 ${opcode}`, "", not64),
    Q: form(`o64 ${opcode}`, "", stack64),
    "": form(opcode, "", { use: "alias" }),
  };
  return (["W", "D", "Q", ""] as const).map((suffix) =>
    instruction({
      mnemonic: `${name}${suffix}`,
      summary: push
        ? "Pushes the flags; RF and VM are pushed as 0."
        : "Pops the flags. IOPL changes only in ring 0, IF only where CPL is not above IOPL; nothing traps.",
      cite: sdm2(push ? "PUSHF/PUSHFD/PUSHFQ" : "POPF/POPFD/POPFQ"),
      forms: [forms[suffix]],
      execute: name.toLowerCase(),
      flags: push ? pushedFlags : statusAndControl,
      faults: ["#GP(0): virtual-8086 mode with IOPL below 3", "#SS(0): the stack access breaks the limit"],
      implicit: `rSP:rw, SS:[rSP]:${push ? "w" : "r"}`,
      sensitivity: "sensitive",
      endsBlock: !push,
      intercepts: { svm: { exit: name, when: name } },
    }),
  );
}

const interruptFlagFaults = ["#GP(0): CPL is above IOPL, and neither CR4.PVI nor CR4.VME helps"];

export const flagAndHintInstructions: readonly Instruction[] = [
  plain("CLC", "F8", "Clears the carry flag.", { flags: { clears: "CF" } }),
  plain("STC", "F9", "Sets the carry flag.", { flags: { sets: "CF" } }),
  plain("CMC", "F5", "Inverts the carry flag.", { flags: { reads: "CF", writes: "CF" } }),
  plain("CLD", "FC", "Clears the direction flag.", { flags: { clears: "DF" } }),
  plain("STD", "FD", "Sets the direction flag.", { flags: { sets: "DF" } }),
  plain("CLI", "FA", "Clears the interrupt flag.", {
    flags: { clears: "IF", writes: "VIF" },
    faults: interruptFlagFaults,
    sensitivity: "iopl",
    endsBlock: true,
  }),
  plain("STI", "FB", "Sets the interrupt flag; interrupts stay blocked for one more instruction.", {
    flags: { sets: "IF", writes: "VIF" },
    faults: interruptFlagFaults,
    sensitivity: "iopl",
    endsBlock: true,
  }),
  plain("LAHF", "9F", "Loads AH from the low flags; in 64-bit mode only where CPUID says so.", {
    flags: { reads: "CF PF AF ZF SF" },
    implicit: "AH:w",
  }),
  plain("SAHF", "9E", "Stores AH in the low flags; in 64-bit mode only where CPUID says so.", {
    flags: { writes: "CF PF AF ZF SF" },
    implicit: "AH:r",
  }),
  instruction({
    mnemonic: "SALC",
    summary: "Fills AL with the carry flag; an opcode that Intel does not document.",
    cite: sdm2("Opcode Map"),
    forms: [form("D6", "", not64)],
    flags: { reads: "CF" },
    implicit: "AL:w",
  }),
  ...flagsOnStack("PUSHF"),
  ...flagsOnStack("POPF"),
  instruction({
    mnemonic: "NOP",
    summary: "Does nothing.",
    cite: sdm2("NOP"),
    forms: [
      form("REX.B0 90"),
      form("o16 0F 1F /0", "r/m16"),
      form("o32 0F 1F /0", "r/m32"),
      form("REX.W 0F 1F /0", "r/m64"),
      ...hintNops(),
    ],
  }),
  instruction({
    mnemonic: "PAUSE",
    summary: "Hints that the code spins.",
    cite: sdm2("PAUSE"),
    forms: [form("F3 REX.B0 90")],
    intercepts: {
      vmx: { exit: "PAUSE", when: "PAUSE_EXITING, or PAUSE_LOOP_EXITING at CPL 0" },
      svm: { exit: "PAUSE", when: "PAUSE, and the filter count where there is one" },
    },
  }),
  ...["PREFETCHNTA", "PREFETCHT0", "PREFETCHT1", "PREFETCHT2"].map((mnemonic, n) =>
    instruction({
      mnemonic,
      summary: "Hints that a cache line will be read.",
      cite: sdm2("PREFETCHh"),
      execute: "prefetch",
      feature: "SSE",
      forms: [form(`0F 18 /${n}`, "m")],
    }),
  ),
  instruction({
    mnemonic: "PREFETCHW",
    summary: "Hints that a cache line will be written.",
    cite: sdm2("PREFETCHW"),
    execute: "prefetch",
    forms: [form("0F 0D /1", "m")],
  }),
  instruction({
    mnemonic: "PREFETCH",
    summary: "Hints that a cache line will be read (3DNow! form).",
    cite: sdm2("PREFETCHW"),
    execute: "prefetch",
    forms: [form("0F 0D /0", "m")],
  }),
  plain("LFENCE", "NP 0F AE E8+i", "Orders loads; nothing later starts before it completes.", { feature: "SSE2" }),
  plain("MFENCE", "NP 0F AE F0+i", "Orders loads and stores.", { feature: "SSE2" }),
  plain("SFENCE", "NP 0F AE F8+i", "Orders stores.", { feature: "SSE" }),
  plain("SERIALIZE", "NP 0F 01 E8", "Serializes execution.", { feature: "SERIALIZE", serializing: true }),
  instruction({
    mnemonic: "CLFLUSH",
    summary: "Writes back and drops a cache line.",
    cite: sdm2("CLFLUSH"),
    feature: "CLFSH",
    execute: "clflush",
    forms: [form("NP 0F AE /7", "m")],
  }),
  instruction({
    mnemonic: "CLFLUSHOPT",
    summary: "Writes back and drops a cache line, weakly ordered.",
    cite: sdm2("CLFLUSHOPT"),
    feature: "CLFLUSHOPT",
    execute: "clflush",
    forms: [form("66 0F AE /7", "m")],
  }),
  instruction({
    mnemonic: "CLWB",
    summary: "Writes back a cache line and may keep it.",
    cite: sdm2("CLWB"),
    feature: "CLWB",
    execute: "clflush",
    forms: [form("66 0F AE /6", "m")],
  }),
  ...(["RDRAND", "RDSEED"] as const).map((mnemonic) =>
    instruction({
      mnemonic,
      summary: "Stores a random number; the carry flag says whether there was one.",
      cite: sdm2(mnemonic),
      feature: mnemonic,
      forms: [16, 32, 64].map((bits) =>
        form(`NFx ${bits === 64 ? "REX.W" : `o${bits}`} 0F C7 /${mnemonic === "RDRAND" ? 6 : 7}`, `r${bits}(rm):w`),
      ),
      flags: { writes: "CF", clears: "OF SF ZF AF PF" },
      intercepts: { vmx: { exit: mnemonic, when: `${mnemonic}_EXITING` } },
    }),
  ),
  instruction({
    mnemonic: "RDPID",
    summary: "Reads IA32_TSC_AUX.",
    cite: sdm2("RDPID"),
    feature: "RDPID",
    forms: [
      form("F3 0F C7 /7", "r32(rm):w", not64),
      form("F3 0F C7 /7", "r64(rm):w", { modes: "only64", size64: "force64" }),
    ],
    faults: ["#UD: non-root operation with ENABLE_RDTSCP 0"],
  }),
  instruction({
    mnemonic: "MOVNTI",
    summary: "Stores past the caches.",
    cite: sdm2("MOVNTI"),
    feature: "SSE2",
    execute: "movnti",
    forms: [form("NP 0F C3 /r", "m32:w, r32"), form("NP REX.W 0F C3 /r", "m64:w, r64")],
  }),
  instruction({
    mnemonic: "MOVDIRI",
    summary: "Stores directly, write-combining.",
    cite: sdm2("MOVDIRI"),
    feature: "MOVDIRI",
    execute: "movnti",
    forms: [form("NP 0F 38 F9 /r", "m32:w, r32"), form("NP REX.W 0F 38 F9 /r", "m64:w, r64")],
  }),
];

/** Opcodes 0F 18 to 0F 1F that no feature took do nothing; only 0F 1F /0 is documented. */
function hintNops(): ReturnType<typeof form>[] {
  const forms = [];
  for (const opcode of ["0F 0D", "0F 18", "0F 19", "0F 1A", "0F 1B", "0F 1C", "0F 1D", "0F 1E", "0F 1F"]) {
    forms.push(form(`o16 ${opcode} /r`, "r/m16, r16", { use: "decode" }));
    forms.push(form(`o32 ${opcode} /r`, "r/m32, r32", { use: "decode" }));
    forms.push(form(`REX.W ${opcode} /r`, "r/m64, r64", { use: "decode" }));
  }
  return forms;
}
