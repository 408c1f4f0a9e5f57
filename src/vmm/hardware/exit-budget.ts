// The instruction budget of a run under a VMM. A guest that exits again and again without getting anywhere would never
// spend it by instructions alone, so exits in a row with no instruction retired between them cost a part of it.

import type { Processor } from "../virtualization.js";

/** What an exit without progress costs: a hang ends after this part of the budget's instructions in exits. */
const exitWithoutProgress = 100;

/** Counts over all runs of a guest: what exits cost is remembered from one to the next, until an instruction retires. */
export class ExitBudget {
  private end = 0;
  private retired = 0;
  private spentOnExits = 0;

  constructor(private readonly processor: Pick<Processor, "retired">) {}

  /** A run begins with so many instructions. */
  begin(budgetInstructions: number): void {
    this.retired = Number(this.processor.retired);
    this.end = this.retired + budgetInstructions;
  }

  /** Instructions that may still be run. */
  get left(): number {
    return Math.max(0, this.end - this.retired - this.spentOnExits);
  }

  /** Counts an exit that was handled; true when nothing is left. */
  isSpentAfterExit(): boolean {
    const now = Number(this.processor.retired);
    this.spentOnExits = now === this.retired ? this.spentOnExits + exitWithoutProgress : 0;
    this.retired = now;
    return this.left === 0;
  }
}
