// Generates docs/declarations.md: every declaration of the language, by the place where it can stand.

import { keywords, type Place } from "../../src/syntax/index.js";

const titles: Readonly<Record<Place, string>> = {
  file: "In a file",
  test: "In a test",
  guest: "In a guest",
  vmm: "In the block of `vmm`",
  platform: "In the block of `platform`",
  each: "In the block of `each`",
};

const cell = (text: string): string => text.replaceAll("|", "\\|");

export function outputs(): readonly { readonly path: string; readonly text: string }[] {
  const sections = (Object.keys(titles) as Place[]).map((place) => {
    const rows = keywords.filter((keyword) => keyword.place === place);
    const lines = rows.map((keyword) => `| \`${cell(keyword.shape)}\` | ${cell(keyword.doc)} |`);
    return [`## ${titles[place]}`, "| declaration | meaning |", "|---|---|", ...lines].join("\n");
  });
  const text = `<!-- Generated from src/syntax/keywords.ts by npm run generate; do not edit. -->
# Declarations

Every word that declares something, with the shape of its line. Words in capitals are to be filled in, parts in
brackets may be left out. A guest's code also takes the macros of its file and of the modules that the file uses.

${sections.join("\n\n")}
`;
  return [{ path: "docs/declarations.md", text }];
}
