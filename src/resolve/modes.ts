// The modes a guest can start in: the width of its code, and what a platform needs for it.

import type { CodeBits } from "../codec/index.js";
import type { GuestMode } from "./resolved.js";

export interface ModeInfo {
  readonly mode: GuestMode;
  readonly bits: CodeBits;
  /** CPU features, by isa's names, without which the mode does not exist. */
  readonly features: readonly string[];
}

const rows: readonly ModeInfo[] = [
  { mode: "real16", bits: 16, features: [] },
  { mode: "prot16", bits: 16, features: [] },
  { mode: "prot32", bits: 32, features: [] },
  { mode: "paged32", bits: 32, features: [] },
  { mode: "pae32", bits: 32, features: ["PAE"] },
  { mode: "compat32", bits: 32, features: ["LONG_MODE"] },
  { mode: "long64", bits: 64, features: ["LONG_MODE"] },
];

/** Every mode by the name that `guest` declarations use. */
export const guestModes: ReadonlyMap<string, ModeInfo> = new Map(rows.map((row) => [row.mode, row]));
