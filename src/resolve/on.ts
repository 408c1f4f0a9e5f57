// `on`: lists of platforms and groups. One meaning everywhere: in a test's header, before a block, in a judgement.

import { resolving } from "../base/index.js";
import type { Platform } from "../isa/index.js";
import type { Arg, JudgementClause, Name, Statement } from "../syntax/index.js";
import { caseFix, report, suggestion, type Frame, type ListedPlatform } from "./frame.js";
import { modeProblem } from "./support.js";

/** Groups by name: those of the generations, and `all`. */
export const groupNames = ["unassisted", "vtx1", "vtx2", "svm1", "svm2", "all"] as const;

/** True when a name of a platform or a group holds for a platform. */
export function holdsOn(name: string, platform: Platform): boolean {
  return name === "all" || name === platform.name || name === platform.cpu.generation;
}

/** Whether one of the names holds on the platform of the case; undefined where it stands for every platform. */
export function isOn(names: readonly string[], frame: Frame): boolean | undefined {
  if (frame.unit.isAnyPlatform) return undefined;
  return frame.unit.ask(`on ${names.join(" ")}`, (platform) => names.some((name) => holdsOn(name, platform)));
}

/** Reports names that are neither a platform's nor a group's. */
export function checkPlatformNames(names: readonly Name[], frame: Frame): void {
  for (const name of names) {
    if (frame.unit.platformNames.has(name.text)) continue;
    const { platformNames } = frame.unit;
    const facts = { name: name.text, help: suggestion(name.text, platformNames) };
    report(frame, resolving.unknownPlatform, facts, name.span, caseFix(name.text, platformNames, name.span));
  }
}

/**
 * Whether the `on` block at `index` is the one that counts on the case's platform: of blocks that stand directly one
 * after the other, the first whose names hold. Where the platform is not known, the first stands for all of them.
 */
export function isSelectedBlock(statements: readonly Statement[], index: number, frame: Frame): boolean {
  const holds = (statement: Statement): boolean => isOn(statement.args.flatMap(wordsOf), frame) !== false;
  const block = statements[index];
  if (!block || !holds(block)) return false;
  for (let before = index - 1; before >= 0; before--) {
    const statement = statements[before];
    if (statement?.head?.text !== "on" || statement.block === undefined) return true;
    if (holds(statement)) return false;
  }
  return true;
}

/** Whether the `on` block at `index` is the one that counts on a platform. */
export function isThereOn(statements: readonly Statement[], index: number, platform: Platform): boolean {
  const holds = (statement: Statement): boolean =>
    statement.args.flatMap(wordsOf).some((name) => holdsOn(name, platform));
  let first = index;
  while (statements[first - 1]?.head?.text === "on" && statements[first - 1]?.block !== undefined) first--;
  return statements.slice(first, index + 1).findIndex(holds) === index - first;
}

/** The platforms of the test on which code in a frame runs. */
export function platformsAt(frame: Frame): readonly ListedPlatform[] {
  const mode = frame.guest?.mode;
  return frame.unit.listed.filter(
    ({ platform }) => (frame.isThere?.(platform) ?? true) && (!mode || modeProblem(mode, platform) === undefined),
  );
}

/** Names for `on` that hold on some platforms of a test and on none of its others: groups where a whole group is meant. */
export function namesFor(some: readonly ListedPlatform[], listed: readonly ListedPlatform[]): string[] {
  const names: string[] = [];
  for (const { platform } of some) {
    const group = listed.filter((each) => each.platform.cpu.generation === platform.cpu.generation);
    const isWhole = group.every((each) => some.includes(each)) && group.some((each) => !each.isDirect);
    const name = isWhole ? platform.cpu.generation : platform.name;
    if (!names.includes(name)) names.push(name);
  }
  return names;
}

/** The clause that counts on a platform. */
export function clauseOn({ judgements }: Statement, platform: Platform): JudgementClause | undefined {
  return judgements.find(({ on }) => !on || on.some(({ text }) => holdsOn(text, platform)));
}

/** The words of an argument, whatever else stands there. */
function wordsOf(arg: Arg): string[] {
  return arg.terms.flatMap((term) => (term.kind === "single" && term.expr.kind === "name" ? [term.expr.name] : []));
}

/** The names that arguments list; words only, anything else has been reported. */
export function namesOf(args: readonly Arg[], frame: Frame, what: string): Name[] {
  const names: Name[] = [];
  for (const arg of args) {
    const [term, more] = arg.terms;
    if (term?.kind === "single" && term.expr.kind === "name" && more === undefined) {
      names.push({ text: term.expr.name, span: term.expr.span });
    } else if (!(term?.kind === "single" && term.expr.kind === "missing")) {
      report(frame, resolving.namesExpected, { what }, arg.span);
    }
  }
  return names;
}
