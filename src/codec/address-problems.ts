// What is said of an address that no encoding can express.

import type { AddressProblem } from "./address.js";
import type { CodeBits } from "./instruction.js";

/** The facts of the diagnostic. */
export interface AddressFacts {
  readonly problem: string;
  readonly label: string;
  readonly help?: string;
}

type Kind = AddressProblem["kind"];
type ProblemOf<K extends Kind> = Extract<AddressProblem, { kind: K }>;

/** For each kind of problem what it says; `bits` is the width of the code. */
const texts: { readonly [K in Kind]: (problem: ProblemOf<K>, bits: CodeBits) => AddressFacts } = {
  "not-a-general-register": (p) => ({
    problem: `${p.register} cannot be part of an address`,
    label: "not usable here",
    help: "use general registers of 16, 32 or 64 bits",
  }),
  "sizes-differ": (p) => ({ problem: `${p.base} and ${p.index} cannot form an address`, label: "sizes differ" }),
  "no-such-pair": (p) => ({
    problem: `${p.registers} is no 16-bit address`,
    label: "not encodable",
    help: "16-bit addresses are bx or bp, si or di, or one of each",
  }),
  "index-is-stack-pointer": (p) => ({
    problem: `${p.index} cannot be an index`,
    label: "as index",
    help: "make it the base",
  }),
  "scale-needs-32-bits": () => ({
    problem: "a 16-bit address has no scale",
    label: "scaled",
    help: "use 32-bit registers",
  }),
  "vector-needs-32-bits": () => ({
    problem: "a 16-bit address takes no vector",
    label: "with a vector",
    help: "use 32-bit registers",
  }),
  "register-needs-64-bit-mode": (p, bits) => ({
    problem: `${p.register} does not exist in ${bits}-bit code`,
    label: "only in 64-bit code",
  }),
  "16-bit-address-in-64-bit-mode": () => ({
    problem: "64-bit code has no 16-bit addresses",
    label: "16 bits",
    help: "use 64-bit registers",
  }),
  "displacement-too-wide": (p, bits) => ({
    problem: `0x${BigInt.asUintN(64, p.displacement).toString(16)} does not fit in a displacement of ${p.bits} bits`,
    label: `more than ${p.bits} bits`,
    ...(bits === 64 && {
      help: "load the address into a register, or use mov with al, ax, eax or rax and [qword …]",
    }),
  }),
  "64-bit-displacement": () => ({
    problem: "this operand has no 64-bit displacement",
    label: "qword",
    help: "only mov between al, ax, eax or rax and memory has one",
  }),
  "relative-with-registers": () => ({
    problem: "an address relative to RIP takes no registers",
    label: "rel with registers",
    help: "drop rel",
  }),
  "relative-needs-64-bit-mode": (_p, bits) => ({
    problem: `${bits}-bit code has no addresses relative to RIP`,
    label: "rel",
    help: "drop rel",
  }),
};

/** The facts of a problem. */
export function addressFacts<K extends Kind>(problem: ProblemOf<K>, bits: CodeBits): AddressFacts {
  return texts[problem.kind as K](problem, bits);
}
