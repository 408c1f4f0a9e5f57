// How a measured suite is told: one line for each fault, more for one that survives, totals alone on the last line.

import type { MutantResult, MutationResult } from "./mutants.js";
import { caseName } from "./report.js";

/** The lines of one fault, without a final newline. */
export function renderMutant({ row, concerned, noticed }: MutantResult, all: boolean): string {
  const [first] = noticed;
  if (first === undefined) {
    const what = concerned === 0 ? "no test runs the VMM that it makes wrong" : `${tests(concerned)} saw nothing`;
    return [
      `SURVIVES  ${row.name}: the VMM ${row.wrong}`,
      `   models  ${row.models}`,
      `   where   ${whereOf(row)}; ${what}`,
    ].join("\n");
  }
  if (!all) return `noticed   ${row.name}  by ${caseName(first)}`;
  return [
    `noticed   ${row.name}  by ${noticed.length} of ${tests(concerned)}`,
    ...noticed.map((notice) => `   ${caseName(notice)}`),
  ].join("\n");
}

/** `N noticed, N survive` */
export function renderMutantTotals({ mutants }: MutationResult): string {
  const survive = mutants.filter((mutant) => mutant.noticed.length === 0).length;
  const faults = mutants.length === 1 ? "1 fault" : `${mutants.length} faults`;
  return `${faults}: ${mutants.length - survive} noticed, ${survive} survive`;
}

/** One document. Names in it are permanent; docs/formats.md describes them. */
export function renderMutantsJson({ mutants, status }: MutationResult): string {
  const faults = mutants.map(({ row, concerned, noticed }) => {
    const { name, wrong, models, vmms, vendor, paging } = row;
    const by = noticed.map(({ file, title, platform, vmmText, detail }) => {
      return { file, title, platform, vmm: vmmText.replace(/^vmm /, ""), detail };
    });
    const where = { vmms, ...(vendor && { vendor }), ...(paging && { paging }) };
    return { name, wrong, models, ...where, outcome: by.length > 0 ? "noticed" : "survives", concerned, noticed: by };
  });
  return `${JSON.stringify({ status, faults }, undefined, 2)}\n`;
}

/** Which VMMs a fault makes wrong, in words. */
export function whereOf({ vmms, vendor, paging }: MutantResult["row"]): string {
  const names = vmms.join(", ");
  const vendors = vendor === undefined ? "" : vendor === "intel" ? " on VT-x" : " on SVM";
  const tables = paging === undefined ? "" : paging === "shadow" ? ", shadow page tables" : ", EPT or nested paging";
  return `${names}${vendors}${tables}`;
}

const tests = (count: number): string => (count === 1 ? "1 test" : `${count} tests`);
