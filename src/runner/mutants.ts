// `trapline mutate`: a suite is measured by VMMs that are wrong on purpose. A fault is noticed by a test that passes
// under the right VMM and does not under the wrong one; a fault that no test notices survives.

import { hasErrors, type Diagnostic } from "../base/index.js";
import { goldenPath } from "../verdict/index.js";
import { concernsCase, type FaultRow } from "../vmm/index.js";
import { MachinePool } from "./machine-pool.js";
import type { RunOptions } from "./options.js";
import { renderCase } from "./report.js";
import type { CaseResult } from "./result.js";
import { diagnosticsOf, prepare, runCase, type FileRequest, type PreparedCase } from "./run-file.js";

/** A test that noticed a fault, by the first of its cells that did. */
export interface Notice {
  readonly file: string;
  readonly title: string;
  readonly platform: string;
  readonly vmmText: string;
  /** The failure report, or what broke inside the VMM. */
  readonly detail: string;
}

export interface MutantResult {
  readonly row: FaultRow;
  /** Tests that run the VMM which the fault makes wrong. */
  readonly concerned: number;
  /** Those that noticed it; only the first unless all were asked for. */
  readonly noticed: readonly Notice[];
}

export interface MutationResult {
  readonly mutants: readonly MutantResult[];
  /** What is wrong with the files; nothing runs then. */
  readonly diagnostics: readonly Diagnostic[];
  /** Reports of tests that fail without any fault; nothing is measured then. */
  readonly failing: readonly string[];
  /** 0 every fault is noticed, 1 one survives, 2 the input is wrong. */
  readonly status: 0 | 1 | 2;
}

export interface MutantOptions extends RunOptions {
  /** Look at every test, not only up to the first that notices. */
  readonly all: boolean;
}

/** Runs the tests under each fault. `onMutant` is told each result as soon as it is there. */
export function runMutants(
  requests: readonly FileRequest[],
  rows: readonly FaultRow[],
  options: MutantOptions,
  onMutant: (result: MutantResult) => void = () => {},
): MutationResult {
  const files = requests.map((request) => ({ request, prepared: prepare(request, options) }));
  const diagnostics = files.flatMap(({ prepared }) => diagnosticsOf(prepared));
  if (hasErrors(diagnostics)) return { mutants: [], diagnostics, failing: [], status: 2 };
  const tests = files.flatMap(({ request, prepared }) => testsOf(prepared.cases, usesHv(request)));
  const measure = new Measure(options);
  const failing = tests.flatMap((test) => measure.whatFails(test));
  if (failing.length > 0 || tests.length === 0) return { mutants: [], diagnostics, failing, status: 2 };
  const mutants = rows.map((row) => {
    const { library } = row.fault;
    const result = measure.mutant(row, tests, library && changedTests(requests, library, options));
    onMutant(result);
    return result;
  });
  const survives = mutants.some((mutant) => mutant.noticed.length === 0);
  return { mutants, diagnostics, failing: [], status: survives ? 1 : 0 };
}

/** The cells of one test that can run. */
interface PreparedTest {
  readonly usesHv: boolean;
  readonly cells: readonly PreparedCase[];
}

const usesHv = ({ source }: FileRequest): boolean => /^\s*use\s+hv\b/m.test(source.text);

function testsOf(cases: readonly PreparedCase[], hv: boolean): PreparedTest[] {
  const tests = new Map<string, PreparedCase[]>();
  for (const one of cases) {
    if (one.program === undefined) continue;
    const cells = tests.get(one.cell.title) ?? [];
    cells.push(one);
    tests.set(one.cell.title, cells);
  }
  return [...tests.values()].map((cells) => ({ usesHv: hv, cells }));
}

/** The tests of files that use the library's VMM, compiled with a library that is wrong, when they are asked for. */
function* changedTests(
  requests: readonly FileRequest[],
  { module, text, becomes }: NonNullable<FaultRow["fault"]["library"]>,
  options: MutantOptions,
): Iterable<readonly PreparedTest[]> {
  const source = options.modules.get(module);
  if (source === undefined || source.text.split(text).length !== 2) {
    throw new Error(`internal error: a fault of the catalogue finds its text in ${module} not exactly once`);
  }
  const changed = { ...source, text: source.text.replace(text, () => becomes) };
  const modules = new Map([...options.modules, [module, changed]]);
  for (const request of requests.filter(usesHv)) {
    yield testsOf(prepare(request, { ...options, modules }).cases, true);
  }
}

/** Of the tests that run the VMM which a fault makes wrong, the cells where they do. */
function concernedCells(row: FaultRow, tests: readonly PreparedTest[]): (readonly PreparedCase[])[] {
  return tests
    .map(({ usesHv: hv, cells }) =>
      cells.filter(({ cell }) => concernsCase(row, { platform: cell.platform, stack: cell.vmm, usesHv: hv })),
    )
    .filter((cells) => cells.length > 0);
}

/** Runs tests on machines of its own. */
class Measure {
  private pool = new MachinePool();

  constructor(private readonly options: MutantOptions) {}

  /** Reports of the cells that fail under the right VMM. */
  whatFails(test: PreparedTest): string[] {
    const results = test.cells.map((one) => this.run(one, this.options));
    return results.filter((result) => result.outcome === "failed").map(renderCase);
  }

  /** `changed` are the tests file by file, where the fault is in the library that they are compiled with. */
  mutant(
    row: FaultRow,
    tests: readonly PreparedTest[],
    changed: Iterable<readonly PreparedTest[]> = [tests],
  ): MutantResult {
    const { all } = this.options;
    const options = { ...this.options, fault: row.fault };
    const noticed: Notice[] = [];
    for (const some of changed) {
      const concerned = concernedCells(row, some);
      noticed.push(...(all ? this.allNotices(concerned, options) : this.oneNotice(concerned, options)));
      if (noticed.length > 0 && !all) break;
    }
    return { row, concerned: concernedCells(row, tests).length, noticed };
  }

  private allNotices(tests: readonly (readonly PreparedCase[])[], options: RunOptions): Notice[] {
    return tests.flatMap((cells) => this.firstNotice(cells, options) ?? []);
  }

  /** One cell of each test first: most faults show wherever the test runs. */
  private oneNotice(tests: readonly (readonly PreparedCase[])[], options: RunOptions): Notice[] {
    const rounds = [tests.map((cells) => cells.slice(0, 1)), tests.map((cells) => cells.slice(1))];
    for (const cells of rounds.flat()) {
      const notice = this.firstNotice(cells, options);
      if (notice) return [notice];
    }
    return [];
  }

  private firstNotice(cells: readonly PreparedCase[], options: RunOptions): Notice | undefined {
    for (const one of cells) {
      const { outcome, detail } = this.runUnderFault(one, options);
      const { file, title, vmmText, platform } = one.cell;
      if (outcome !== "passed") return { file, title, platform: platform.name, vmmText, detail };
    }
    return undefined;
  }

  /** A wrong VMM may break in ways that a right one cannot: that is noticed too, and the machines are not used again. */
  private runUnderFault(one: PreparedCase, options: RunOptions): Pick<CaseResult, "outcome" | "detail"> {
    try {
      return this.run(one, options);
    } catch (error) {
      this.pool = new MachinePool();
      return { outcome: "failed", detail: `the VMM broke: ${error instanceof Error ? error.message : String(error)}` };
    }
  }

  private run(one: PreparedCase, options: RunOptions): CaseResult {
    return runCase(one, options.goldens.get(goldenPath(one.cell.file)), options, this.pool).result;
  }
}
