// `trapline mutate`: a suite is measured by VMMs that are wrong on purpose. A fault is noticed by a test that passes
// under the right VMM and does not under the wrong one; a fault that no test notices survives.

import { hasErrors, type Diagnostic } from "../base/index.js";
import { goldenPath } from "../verdict/index.js";
import { concernsCase, type FaultRow } from "../vmm/index.js";
import { MachinePool } from "./machine-pool.js";
import type { RunOptions } from "./options.js";
import { renderCase } from "./report.js";
import type { CaseResult } from "./result.js";
import {
  diagnosticsOf,
  prepare,
  runCase,
  testsOfFile,
  type FileRequest,
  type FileTest,
  type PreparedCase,
} from "./run-file.js";

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
  const carried = new CarriedTests(requests, options, measure);
  const mutants = rows.map((row) => {
    const { library } = row.fault;
    const plain = measure.mutant(row, tests, library && changedTests(requests, library, options));
    const result = library ? carried.add(row, library, plain) : plain;
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
  const modules = changedModules({ module, text, becomes }, options);
  for (const request of requests.filter(usesHv)) {
    yield testsOf(prepare(request, { ...options, modules }).cases, true);
  }
}

type LibraryFault = NonNullable<FaultRow["fault"]["library"]>;

/** The library with a fault in it. */
function changedModules({ module, text, becomes }: LibraryFault, { modules }: MutantOptions): RunOptions["modules"] {
  const source = modules.get(module);
  if (source === undefined || source.text.split(text).length !== 2) {
    throw new Error(`internal error: a fault of the catalogue finds its text in ${module} not exactly once`);
  }
  return new Map([...modules, [module, { ...source, text: source.text.replace(text, () => becomes) }]]);
}

/**
 * Tests under `vmm hardware` as images, whose VMM is the library's: each on one platform of a vendor's generation. Each
 * costs a boot, so they are looked at where nothing else has noticed a fault.
 */
class CarriedTests {
  /** Cells that pass with the right library, by what they are; the others measure nothing. */
  private readonly passing = new Map<string, boolean>();

  private readonly right: readonly (readonly FileTest[])[];

  constructor(
    private readonly requests: readonly FileRequest[],
    private readonly options: MutantOptions,
    private readonly measure: Measure,
  ) {
    this.right = requests.map((request) => testsOfFile(request, { ...options, lowering: "carried" }));
  }

  /** What these tests add to what others have noticed. */
  add(row: FaultRow, fault: LibraryFault, plain: MutantResult): MutantResult {
    const { all } = this.options;
    const noticed = [...plain.noticed];
    const modules = changedModules(fault, this.options);
    const concerns = (test: FileTest): boolean => carriedCells(row, test.cells).length > 0;
    for (const [index, tests] of this.right.entries()) {
      const request = this.requests[index];
      if (!request || !tests.some(concerns) || (noticed.length > 0 && !all)) continue;
      const wrong = testsOfFile(request, { ...this.options, modules, lowering: "carried" });
      for (const [number, test] of tests.entries()) {
        const faulty = wrong[number];
        if (!faulty || (noticed.length > 0 && !all)) continue;
        const notice = this.notice(row, test, faulty);
        if (notice) noticed.push({ ...notice, vmmText: `${notice.vmmText}, carried` });
      }
    }
    const concerned = this.right.flat().filter(concerns).length;
    return { ...plain, concerned: plain.concerned + concerned, noticed };
  }

  /** The first cell of a test that passes with the right library and does not with the wrong one. */
  private notice(row: FaultRow, right: FileTest, wrong: FileTest): Notice | undefined {
    for (const cell of carriedCells(row, right.cells)) {
      const faulty = wrong.cells.find((one) => nameOf(one) === nameOf(cell));
      if (!faulty || !this.passes(cell, right)) continue;
      const notice = this.measure.firstNotice([wrong.compile(faulty)], this.options);
      if (notice) return notice;
    }
    return undefined;
  }

  private passes(cell: PreparedCase["cell"], test: FileTest): boolean {
    const name = nameOf(cell);
    let passes = this.passing.get(name);
    if (passes === undefined) {
      const one = test.compile(cell);
      passes = one.program !== undefined && this.measure.firstNotice([one], this.options) === undefined;
      this.passing.set(name, passes);
    }
    return passes;
  }
}

const nameOf = ({ file, title, platform }: PreparedCase["cell"]): string => `${file} ${title} ${platform.name}`;

/** The cells under `vmm hardware` alone that a fault can show in, one of each generation. */
function carriedCells(row: FaultRow, cells: readonly PreparedCase["cell"][]): readonly PreparedCase["cell"][] {
  const found = new Map<string, PreparedCase["cell"]>();
  for (const cell of cells) {
    const [vmm, outer] = cell.vmm;
    if (cell.skip !== undefined || vmm?.kind !== "hardware" || vmm.nested || outer) continue;
    if (!concernsCase(row, { platform: cell.platform, stack: cell.vmm, usesHv: true })) continue;
    const { generation } = cell.platform.cpu;
    // Later platforms of a generation lack less of what an image needs.
    found.set(`${generation} ${cell.title}`, cell);
  }
  return [...found.values()];
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

  firstNotice(cells: readonly PreparedCase[], options: RunOptions): Notice | undefined {
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
