// `trapline explain CODE`: what a diagnostic means and what to do about it.

import type { Command } from "commander";
import { UsageError } from "../exit-status.js";
import { print } from "../output.js";

export function register(program: Command): void {
  program
    .command("explain")
    .description("Explain a diagnostic by its code")
    .argument("<code>", "a code such as E2005")
    .action(async (code: string) => {
      const { didYouMean, explainDiagnostic, findDiagnostic, nearCodes } = await import("../../base/index.js");
      const entry = findDiagnostic(code);
      if (entry === undefined) {
        const near = didYouMean(nearCodes(code));
        throw new UsageError(`there is no diagnostic ${code}${near === undefined ? "" : `; ${near}`}`);
      }
      print(`${explainDiagnostic(entry)}\n`);
    });
}
