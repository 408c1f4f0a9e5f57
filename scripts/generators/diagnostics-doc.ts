// Generates docs/diagnostics.md: every diagnostic by its code, from the catalogue.

import { diagnosticsByPhase, fixableNote } from "../../src/base/index.js";

export function outputs(): readonly { readonly path: string; readonly text: string }[] {
  const sections = diagnosticsByPhase()
    .filter((phase) => phase.entries.length > 0)
    .map(({ title, entries }) => {
      const pages = entries.map((entry) => {
        const warning = entry.severity === "warning" ? "\n\nThis is a warning." : "";
        const fixed = entry.fixable ? `\n\n**Fix:** ${fixableNote}` : "";
        return `### ${entry.code}: ${entry.title}\n\n${entry.explanation}${warning}${fixed}`;
      });
      return [`## ${title}`, ...pages].join("\n\n");
    });
  const text = `<!-- Generated from src/base/catalogue by npm run generate; do not edit. -->
# Diagnostics

Every message of Trapline has a code. Codes are permanent: one that is given up is never used for something else.
\`trapline explain CODE\` prints an entry of this page. Those marked **Fix** can come with a mend that editors offer and \`check --fix\` applies.

${sections.join("\n\n")}
`;
  return [{ path: "docs/diagnostics.md", text }];
}
