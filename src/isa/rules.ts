// All rules by id and by the number that raw events carry. Control bits that cause exits have numbers too: their
// "rule" is the control's name in lower case.

import { processorRules } from "./processor-rules.js";
import type { Rule } from "./rule.js";
import { svmRules } from "./svm/rules.js";
import { svmIntercepts } from "./svm/intercepts.js";
import { vmxControls } from "./vmx/controls.js";
import { vmxRules } from "./vmx/rules.js";

/** First numbers of control bits (VMX) and intercept bits (SVM) as causes of exits. */
export const vmxControlCauseBase = 0x400;
export const svmInterceptCauseBase = 0x500;

const rules: readonly Rule[] = [...vmxRules, ...svmRules, ...processorRules];
const byNumber = new Map(rules.map((r) => [r.number, r]));
const byId = new Map(rules.map((r) => [r.id, r]));
const causeIds = new Map<number, string>([
  ...vmxControls.map((c, i) => [vmxControlCauseBase + i, `control.${c.name.toLowerCase()}`] as const),
  ...svmIntercepts.map((c, i) => [svmInterceptCauseBase + i, `intercept.${c.name.toLowerCase()}`] as const),
]);
const causes = new Set(causeIds.values());

/** Every rule of both vendors and of the processor itself. */
export const allRules: readonly Rule[] = rules;

/** The rule with that id, or undefined. */
export function findRule(id: string): Rule | undefined {
  return byId.get(id);
}

/** True for ids of rules and of control bits, which `rule:` in a judgement may name. */
export function isRuleId(id: string): boolean {
  return byId.has(id) || causes.has(id);
}

/** Id of the rule or control bit with the number in a raw event; undefined for 0 and unknown numbers. */
export function ruleIdByNumber(number: number): string | undefined {
  return byNumber.get(number)?.id ?? causeIds.get(number);
}
