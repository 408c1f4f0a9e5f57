// Freedoms of the manuals: where they leave open what a processor does, ours does the same thing always, and a run may
// ask for the other. One table of knobs; the first choice of each is what happens unasked.

import type { Platform } from "./platform.js";

/** What each knob turns, and what its choices mean. */
export const knobs = {
  undefined: {
    doc: "flags that the manual leaves undefined after an instruction, whatever its operands",
    choices: {
      computed: "what this machine computes for them",
      clear: "0",
      set: "1",
      invert: "the opposite of what this machine computes",
    },
  },
  tlb: {
    doc: "how long a translation is kept after its page-table entry has changed",
    choices: {
      usual: "until any instruction that invalidates some translations, which invalidates all of them here",
      eager: "not at all: every access reads the page tables",
      lazy: "until an instruction must invalidate this one: global pages outlive MOV to CR3, PCIDs outlive each other",
    },
  },
  order: {
    doc: "which failing check of VM entry or VMRUN is reported, where several fail and the manual lets any be",
    choices: {
      first: "the first in the order of the manual",
      last: "the last",
      "seed:N": "any, by a number from 1 to 65535: each of those that fail has its seeds",
    },
  },
} as const;

export type KnobName = keyof typeof knobs;
/** The choices of a run that differ from the default, or confirm it; `seed:N` with its number. */
export type Variation = { readonly [K in KnobName]?: Choice<keyof (typeof knobs)[K]["choices"]> };
type Choice<Name> = Name extends "seed:N" ? `seed:${number}` : Name;

/** The number of a choice `seed:N`, or undefined for another choice. */
export function seedOf(choice: string | undefined): number | undefined {
  const digits = /^seed:([0-9]{1,5})$/.exec(choice ?? "")?.[1];
  const seed = Number(digits);
  return digits !== undefined && seed >= 1 && seed <= 0xffff ? seed : undefined;
}

/** Reads `knob=choice`; a sentence about what is wrong where it is not one. */
export function readVariation(text: string): Variation | string {
  const [name = "", choice = "", ...rest] = text.split("=").map((part) => part.trim());
  if (!Object.hasOwn(knobs, name) || rest.length > 0) {
    return `takes KNOB=CHOICE with one of the knobs ${Object.keys(knobs).join(", ")}, not ${text}`;
  }
  const choices = Object.keys(knobs[name as KnobName].choices);
  const isSeed = choices.includes("seed:N") && seedOf(choice) !== undefined;
  if (!isSeed && (choice === "seed:N" || !choices.includes(choice)))
    return `${name} is one of ${choices.join(", ")}, not ${choice}`;
  return { [name]: choice };
}

/** The choices as `readVariation` takes them. */
export function variationTexts(variation: Variation = {}): string[] {
  return Object.entries(variation).map(([name, choice]) => `${name}=${choice}`);
}

const varied = new WeakMap<Platform, Map<string, Platform>>();

/** The platform with a run's choices; the same object for the same choices. */
export function varyPlatform(platform: Platform, variation: Variation | undefined): Platform {
  if (variation === undefined || Object.keys(variation).length === 0) return platform;
  const known = varied.get(platform) ?? new Map<string, Platform>();
  varied.set(platform, known);
  const key = JSON.stringify(variation);
  const made = known.get(key) ?? { ...platform, variation };
  known.set(key, made);
  return made;
}
