// The compiler as one function over its phases: a resolved case in, image and plan out.

import type { Phase } from "../base/index.js";
import type { Lowering, Program, StartState } from "../program/index.js";
import type { ResolvedCase } from "../resolve/index.js";
import { checkPlaces } from "./checks.js";
import type { Encode } from "./encoding.js";
import { setUpGuests, type GuestSetup } from "./environment/index.js";
import { makeImage } from "./image.js";
import { layOut, type LayoutInput, type PlacedSection } from "./layout.js";
import { flatten, type Assembly } from "./pieces.js";
import { handlerEntries, makePlan } from "./plan.js";

export interface CompileOptions {
  /** Bundled: points take no bytes, tables stand ready. Carried: the image brings all it needs, for any machine. */
  readonly lowering: Lowering;
  readonly encode: Encode;
}

/** Compiles one cell of a test's matrix. The case must not be one that is skipped. */
export function compile(input: ResolvedCase, options: CompileOptions): Phase<Program> {
  const assembly = flatten(input);
  const setups = setUpGuests(input);
  const starts = new Map(setups.map((setup) => [setup.guest.name, setup.start]));
  const layout = layOut(layoutInput(assembly, setups, starts, options.encode));
  const placed = { setups, layout, entries: handlersOf(setups, layout.sections) };
  const scope = { addresses: layout.addresses, starts, here: 0, sectionStart: 0 };
  const plan = makePlan({ ...placed, assembly, scope });
  const image = makeImage({ ...placed, lowering: options.lowering, lines: plan.lines });
  return { output: { image, plan }, diagnostics: [...layout.diagnostics, ...checkPlaces(input, setups, layout)] };
}

function layoutInput(
  assembly: Assembly,
  setups: readonly GuestSetup[],
  starts: ReadonlyMap<string, StartState>,
  encode: Encode,
): LayoutInput {
  const sections = assembly.sections.map((section) => {
    const addresses = setups[section.guest]?.environment.addresses;
    if (!addresses) throw new Error("internal error: a section belongs to a guest");
    return section.name === "code"
      ? { section, start: Number(addresses.code), roomBytes: addresses.codeBytes }
      : { section, start: Number(addresses.data), roomBytes: addresses.dataBytes };
  });
  return { sections, starts, encode };
}

function handlersOf(setups: readonly GuestSetup[], sections: readonly PlacedSection[]): Map<number, bigint>[] {
  return setups.map((setup) => {
    const code = sections.find((placed) => placed.section.guest === setup.index && placed.section.name === "code");
    return code ? handlerEntries(code) : new Map<number, bigint>();
  });
}
