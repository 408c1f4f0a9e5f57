// Opcodes of instruction sets that real processors have and this machine does not execute (not-executed.ts). The decoder
// knows them on the models whose processors have them, so that they end a run as `unsupported`: elsewhere, and
// everywhere if they stand in no table, opcodes are #UD. Rows tell an opcode, not operands.
//
// Intel SDM vol. 2 and the AMD APM volumes 3, 4 and 6; EVEX (AVX512F) is a prefix, which the decoder itself knows.

import type { CpuFeature } from "../features.js";
import { form, type Form } from "../instruction.js";

/** An instruction set and its opcodes, in the notation of instruction rows. */
export interface KnownSet {
  readonly feature: CpuFeature;
  readonly forms: readonly Form[];
}

const hex = (opcode: number): string => opcode.toString(16).toUpperCase().padStart(2, "0");

/** A row for each opcode of a list of opcodes and ranges, such as `85-87 8E`. */
function rows(prefix: string, opcodes: string, rest = "/r"): readonly Form[] {
  return opcodes.split(" ").flatMap((range) => {
    const [first = 0, last = first] = range.split("-").map((text) => Number.parseInt(text, 16));
    return Array.from({ length: last - first + 1 }, (_, i) => form(`${prefix} ${hex(first + i)} ${rest}`));
  });
}

/** Operations on opmask registers have VEX, not EVEX. */
const opmaskRows = ["NP", "66"].flatMap((prefix) => [
  ...rows(`VEX.L1.${prefix}.0F`, "41-42 45-47 4A-4B"),
  ...rows(`VEX.L0.${prefix}.0F`, "44 90-93 98-99"),
]);

/** Every set whose opcodes are known and not executed. */
export const knownSets: readonly KnownSet[] = [
  { feature: "3DNOW", forms: [form("0F 0E"), form("0F 0F /r ib")] },
  {
    feature: "XOP",
    forms: [
      ...rows("XOP.LIG.NP.8", "85-87 8E-8F 95-97 9E-9F A2-A3 A6 B6 C0-C3 CC-CF EC-EF", "/r ib"),
      ...rows("XOP.LIG.NP.9", "80-83 90-9B C1-C3 C6-C7 CB D1-D3 D6-D7 DB E1-E3"),
      ...rows("VEX.LIG.66.0F3A", "48-49", "/r ib"),
    ],
  },
  { feature: "FMA4", forms: rows("VEX.LIG.66.0F3A", "5C-5F 68-6F 78-7F", "/r ib") },
  {
    feature: "LWP",
    forms: ["/0", "/1"].flatMap((reg) => [form(`XOP.LZ.NP.9 12 ${reg}`), form(`XOP.LZ.NP.A 12 ${reg} id`)]),
  },
  {
    feature: "AVX512F",
    forms: [...opmaskRows, ...rows("VEX.L0.F2.0F", "92-93"), ...rows("VEX.L0.66.0F3A", "30-33", "/r ib")],
  },
  { feature: "RTM", forms: [form("C6 F8 ib"), form("C7 F8 cd"), form("NP 0F 01 D5"), form("NP 0F 01 D6")] },
  { feature: "VAES", forms: rows("VEX.256.66.0F38", "DC-DF") },
  { feature: "VPCLMULQDQ", forms: rows("VEX.256.66.0F3A", "44", "/r ib") },
  {
    feature: "GFNI",
    forms: [
      ...[...rows("66 0F 38", "CF"), ...rows("66 0F 3A", "CE-CF", "/r ib")],
      ...[...rows("VEX.LIG.66.0F38.W0", "CF"), ...rows("VEX.LIG.66.0F3A.W1", "CE-CF", "/r ib")],
    ],
  },
  { feature: "SGX", forms: [form("NP 0F 01 CF"), form("NP 0F 01 D7")] },
  { feature: "PCONFIG", forms: [form("NP 0F 01 C5")] },
];
