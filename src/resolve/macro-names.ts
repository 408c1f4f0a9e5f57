// Macros by the names that a frame has for them.

import type { Frame } from "./frame.js";
import type { MacroDeclaration, Module } from "./scope.js";

/** A macro with the module in which its body has its meaning. */
export interface FoundMacro {
  readonly declaration: MacroDeclaration;
  readonly module: Module;
}

/** The macro that a statement's first word names: one of the own file, or `module.name`. */
export function findMacro(word: string, frame: Frame): FoundMacro | undefined {
  const own = frame.module.macros.get(word);
  if (own) return { declaration: own, module: frame.module };
  const dot = word.indexOf(".");
  const module = dot < 0 ? undefined : frame.module.uses.get(word.slice(0, dot));
  const declaration = module?.macros.get(word.slice(dot + 1));
  return module && declaration ? { declaration, module } : undefined;
}

/** Every macro that can be named in a frame, for suggestions. */
export function* macroNames(frame: Frame): Iterable<string> {
  yield* frame.module.macros.keys();
  for (const [name, module] of frame.module.uses) for (const macro of module.macros.keys()) yield `${name}.${macro}`;
}
