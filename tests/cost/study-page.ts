// The page docs/cost.md: what the model says, from what, and how it compares with what was published.

import type { CostFigure } from "../../src/isa/index.js";
import type { CaseResult } from "../../src/runner/index.js";

export interface Study {
  readonly operations: readonly CaseResult[];
  readonly nesting: readonly CaseResult[];
  readonly figures: (platform: string) => Readonly<Record<string, CostFigure>>;
}

/** Rounds of each test of the study. */
const rounds = 100n;

/** Columns of the table of operations: a platform and what the guest runs under. */
const columns = [
  ["haswell", "vmm none", "native"],
  ["pentium4", "vmm trap_and_emulate", "software VMM"],
  ["penryn", "vmm hardware", "VT-x, first generation"],
  ["turion", "vmm hardware", "SVM, first generation"],
  ["haswell", "vmm hardware", "VT-x, second"],
  ["zen", "vmm hardware", "SVM, second"],
] as const;

/** Published for the first generation: native, software VMM (by binary translation), hardware VMM. Unverified. */
const published = new Map<string, readonly [native: number, software: number, hardware: number]>([
  ["call and return", [11, 51, 11]],
  ["divide by zero, handled by the guest", [889, 3223, 1014]],
  ["page fault, handled by the guest", [1093, 3927, 11242]],
  ["system call by a software interrupt", [242, 2250, 242]],
  ["input from a port", [3209, 200, 15826]],
  ["page-table write, seen after INVLPG", [1, 391, 12733]],
]);

export function studyPage(study: Study): string {
  return `${[
    introduction,
    figuresText(study),
    operationsText(study),
    orderText(study),
    nestingText(study),
    limits,
  ].join("\n\n")}\n`;
}

const introduction = `# Where the time goes

Made by the tests of tests/cost (\`npm test -- --update tests/cost\`); do not edit. \`trapline cost tests/cost\` prints the
tables whole.

Virtual time counts instructions and nothing else, so that no figure of cost can move an interrupt or a golden file.
What a run would cost in cycles is an overlay over its events (src/vmm/cost.ts): each instruction of a guest, each
delivery of an exception, each transition between guest and VMM, and what the VMM does at each has a figure.
\`trapline cost PATH…\` shows it for any test, by processor and VMM, as a table or with \`--json\`; tests ask
\`expect cycles(vmm) < 5000\` (also \`guest\`, a guest by name, \`transitions\`, \`shadowing\`, \`devices\`, \`total\`)
and \`expect count(exit CR_ACCESS) <= 3\`.`;

function figuresText({ figures }: Study): string {
  const rows = Object.entries(figures("haswell"))
    .filter(([name]) => name !== "transition")
    .map(([name, { cycles, standing, source }]) => `| ${name} | ${cycles} | ${standing}: ${source} |`);
  const models = ["yonah", "penryn", "nehalem", "westmere", "ivybridge", "haswell", "skylake", "icelake", "zen"];
  const transitions = models.map((name) => {
    const figure = figures(name)["transition"];
    const shown = name === "zen" ? "all of AMD's" : `\`${name}\``;
    return `| exit and entry, ${shown} | ${figure?.cycles ?? 0} | ${figure?.standing ?? ""}: ${figure?.source ?? ""} |`;
  });
  return ["## The figures", "", "| what | cycles | standing |", "|---|---|---|", ...rows, ...transitions].join("\n");
}

function operationsText(study: Study): string {
  const titles = [...new Set(study.operations.map((one) => one.title))];
  const rows = titles.map((title) => {
    const cells = columns.map(([platform, vmm]) => perRound(study, title, platform, vmm) ?? "–");
    return `| ${title} | ${cells.join(" | ")} |`;
  });
  return [
    "## One operation, in cycles",
    "",
    `| operation | ${columns.map(([, , shown]) => shown).join(" | ")} |`,
    `|---|${columns.map(() => "---:|").join("")}`,
    ...rows,
  ].join("\n");
}

function perRound(study: Study, title: string, platform: string, vmm: string): string | undefined {
  const one = study.operations.find((c) => c.title === title && c.platform === platform && c.vmmText === vmm);
  return one?.cost && String((one.cost.total + rounds / 2n) / rounds);
}

/** Where the published figures put the cheaper of the two VMMs, and where the model does. */
function orderText(study: Study): string {
  const rows = [...published].map(([title, [native, software, hardware]]) => {
    const ours = ["pentium4", "penryn"].map((platform, index) => {
      const vmm = index === 0 ? "vmm trap_and_emulate" : "vmm hardware";
      return Number(perRound(study, title, platform, vmm) ?? 0);
    });
    const theirs = cheaper(software, hardware);
    const here = cheaper(ours[0] ?? 0, ours[1] ?? 0);
    const same = theirs === here ? "yes" : "**no**";
    return `| ${title} | ${native} / ${software} / ${hardware} | ${theirs} | ${here} | ${same} |`;
  });
  return [
    "## The published order",
    "",
    "Adams and Agesen (ASPLOS 2006; figures unverified) measured native, a VMM by binary translation and a hardware",
    "VMM on the first VT-x. On which operations is the software VMM the cheaper one? Ours is trap-and-emulate here,",
    "which pays a trap where a translator pays a branch. A **no** in the last column is the model's own result, left",
    "as it is.",
    "",
    "| operation | published | cheaper there | cheaper here | same |",
    "|---|---|---|---|---|",
    ...rows,
  ].join("\n");
}

function cheaper(software: number, hardware: number): string {
  return software === hardware ? "equal" : software < hardware ? "software" : "hardware";
}

function nestingText(study: Study): string {
  const rows = study.nesting.flatMap(({ platform, vmmText, cost }) => {
    if (!cost) return [];
    const each = Number(cost.exits) / Number(rounds);
    return [`| ${platform} | ${vmmText} | ${each.toFixed(1)} | ${(cost.total + rounds / 2n) / rounds} |`];
  });
  return [
    "## One exit of a nested guest",
    "",
    "The guest's VMM handles a CPUID of its own guest: it reads why, moves RIP, and enters again. Owning the machine",
    "that is one exit. As a guest itself, each of its own instructions of virtualization may be one more.",
    "",
    "| platform | VMM | exits of the hardware | cycles |",
    "|---|---|---:|---:|",
    ...rows,
  ].join("\n");
}

const limits = `## What the model leaves out

Caches, pipelines and TLB misses; what a device costs natively (IN counts as one instruction there); differences between
processors but for the transition. Figures marked *assumed* are the model's own: plain numbers, not fitted to a result.`;
