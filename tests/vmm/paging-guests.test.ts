// Guests that do to their page tables what shadow page tables must follow: a guest must see under every VMM that shadows
// them what the bare machine shows it, in its registers, its memory, its faults, and the accessed and dirty bits of its
// tables.

import { describe, expect, test } from "vitest";
import { differencesOf } from "./random-guests/compare.js";
import { Guest, modes, sourceOf, type Mode } from "./paging-guests/guest.js";
import { series } from "./paging-guests/series.js";

/** What is compared: pages and tables of the guests, their log, and the tables that they start with. */
const left = [
  [0x9000n, 0x3_0000],
  [0x18_0000n, 0x1000],
  [0x30_0000n, 0x1_0000],
] as const;

const places: readonly { readonly platform: string; readonly vmm: string; readonly modes: readonly Mode["name"][] }[] =
  [
    { platform: "yonah", vmm: "hardware", modes: ["paged32", "pae32"] },
    { platform: "penryn", vmm: "hardware", modes: ["paged32", "pae32", "long64"] },
    { platform: "turion", vmm: "hardware", modes: ["paged32", "pae32", "long64"] },
    { platform: "pentium4", vmm: "trap_and_emulate", modes: ["paged32", "pae32"] },
    { platform: "pentium4", vmm: "binary_translation", modes: ["paged32", "pae32"] },
    { platform: "athlon64", vmm: "trap_and_emulate", modes: ["paged32", "pae32"] },
    { platform: "athlon64", vmm: "binary_translation", modes: ["paged32", "pae32"] },
    { platform: "zen", vmm: "trap_and_emulate", modes: ["paged32", "pae32"] },
    { platform: "zen", vmm: "binary_translation", modes: ["paged32", "pae32"] },
    { platform: "haswell", vmm: "hardware", modes: ["paged32", "pae32", "long64"] },
  ];

const withoutNoExecute: ReadonlySet<string> = new Set(["pentium4"]);

describe.each(places)("$platform under $vmm", ({ platform, vmm, modes: known }) => {
  const rows = series
    .filter((one) => one.noExecute !== true || !withoutNoExecute.has(platform))
    .filter((one) => one.platforms?.includes(platform) ?? true)
    .flatMap((one) => known.filter((mode) => one.modes?.includes(mode) ?? true).map((mode) => [one, mode] as const))
    .map(([one, mode]) => ({ title: `${mode}: ${one.title}`, one, mode }));
  test.each(rows)("$title", ({ one, mode }) => {
    const guest = new Guest(modes[mode]);
    one.build(guest);
    expect(differencesOf(sourceOf(guest, platform), vmm, { left, timed: false })).toBe("");
  });
});
