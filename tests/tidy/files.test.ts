// Files are short, begin by saying what they are for, and hold nothing that was left over.

import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { expect, test } from "vitest";
import { projectRoot } from "../support/golden.js";
import { projectFiles, type ProjectFile } from "../support/project-files.js";
import { longFiles, longFunctions } from "./allowances.js";

const files = projectFiles();
const isGenerated = (file: ProjectFile): boolean => file.path.endsWith(".generated.ts");
const code = files.filter((file) => /\.(?:ts|mjs)$/.test(file.path) && !isGenerated(file));
/** This folder names what it forbids. */
const checked = files.filter((file) => !file.path.startsWith("tests/tidy/") && !isGenerated(file));

test("every code file begins with a comment that says what it is for", () => {
  const inScope = code.filter((file) => !file.path.endsWith(".test.ts"));
  const silent = inScope.filter((file) => !/^(?:\/\/ |\/\*|#!)/.test(file.text));
  expect(silent.map((file) => file.path)).toEqual([]);
});

test("files have at most 500 lines, tables excepted", () => {
  const long = code.filter((file) => file.lines.length > 501 && !longFiles.some((allowed) => allowed.test(file.path)));
  expect(long.map((file) => `${file.path}: ${file.lines.length - 1}`)).toEqual([]);
});

test("lines have at most 120 columns", () => {
  const text = files.filter((file) => /\.(?:ts|mjs|trap)$/.test(file.path) && !isGenerated(file));
  const wide = text.flatMap((file) =>
    file.lines.flatMap((line, i) =>
      line.length > 120 && !/https?:|^\s*["/]|`|\/\/ prettier-ignore$/.test(line) ? [`${file.path}:${i + 1}`] : [],
    ),
  );
  expect(wide).toEqual([]);
});

test("functions have at most 60 lines", () => {
  const inScope = code.filter((file) => !file.path.startsWith("tests/"));
  expect(inScope.flatMap(longFunctionsOf)).toEqual([]);
});

test("nothing is left over, nothing is switched off", () => {
  const forbidden: readonly (readonly [RegExp, string])[] = [
    [/\b(?:TODO|FIXME|XXX|HACK)\b/, "left-over marker"],
    [/@ts-(?:ignore(?!: decorator)|expect-error|nocheck)|(?:eslint|oxlint)-disable/, "a check switched off"],
    [/(?::|\bas) any\b(?! [a-z])|<any\b/, "any"],
    [/(?:^|[^\w/])\/(?:home|root|Users|work)\/\w/, "a path of somebody's machine"],
  ];
  const typed = checked.filter((file) => /\.(?:ts|mjs|trap)$/.test(file.path));
  const found = typed.flatMap((file) =>
    file.lines.flatMap((line, i) =>
      forbidden.filter(([pattern]) => pattern.test(line)).map(([, what]) => `${file.path}:${i + 1}: ${what}`),
    ),
  );
  expect(found).toEqual([]);
});

test("no test is skipped, focused or promised for later", () => {
  const pattern = /\b(?:it|test|describe)\.(?:skip|only|todo|fails)\b|\bx(?:it|describe)\(/;
  const wrong = checked.filter((file) => file.path.endsWith(".test.ts") && pattern.test(file.text));
  expect(wrong.map((file) => file.path)).toEqual([]);
});

test("names say what a file is: kebab-case, no rooms for odds and ends", () => {
  const wrong = code.filter((file) => {
    const name = basename(file.path).replace(/\.(?:test\.ts|generated\.ts|config\.ts|ts|mjs)$/, "");
    return !/^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(name) || /^(?:misc|utils?|helpers?|common)$/.test(name);
  });
  expect(wrong.map((file) => file.path)).toEqual([]);
});

test("tables are constants, not enums; exports have names", () => {
  const wrong = code
    .filter((file) => file.path.startsWith("src/") && !file.path.startsWith("src/core/"))
    .filter((file) => /^\s*(?:export )?(?:const )?enum |^export default /m.test(file.text));
  expect(wrong.map((file) => file.path)).toEqual([]);
});

test("every golden file belongs to an input beside it", () => {
  const goldens = files.filter((file) => file.path.endsWith(".golden"));
  const orphans = goldens.filter((golden) => {
    const stem = basename(golden.path).split(".")[0] ?? "";
    const folder = dirname(golden.path);
    const owned = files.some(
      (file) =>
        dirname(file.path) === folder && basename(file.path).startsWith(`${stem}.`) && !file.path.endsWith(".golden"),
    );
    // A folder `x.golden/` belongs to the file `x.trap` beside it.
    return (
      !owned && !(folder.endsWith(".golden") && existsSync(join(projectRoot, folder.replace(/\.golden$/, ".trap"))))
    );
  });
  expect(orphans.map((file) => file.path)).toEqual([]);
});

test("decision records fit on a page", () => {
  const long = files.filter((file) => file.path.startsWith("docs/decisions/") && file.lines.length > 60);
  expect(long.map((file) => file.path)).toEqual([]);
});

test("links between documents lead somewhere", () => {
  const broken = files
    .filter((file) => file.path.endsWith(".md"))
    .flatMap((file) =>
      [...file.text.matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g)]
        .map((match) => match[1] ?? "")
        .filter((target) => !existsSync(join(projectRoot, dirname(file.path), target)))
        .map((target) => `${file.path}: ${target}`),
    );
  expect(broken).toEqual([]);
});

/** Functions and methods longer than 60 lines. Prettier's layout ends a block at the indentation where it began. */
function longFunctionsOf(file: ProjectFile): string[] {
  const start =
    /^(\s*)(?:export )?(?:async )?(?:function\b|(?:(?:public|private|static|override|get|set|async) )*\w+\(.*\).*\{$|const \w+ = .*=> \{$)/;
  const notFunctions = /^\s*(?:if|for|while|switch|else|return|do|try|catch)\b/;
  const found: string[] = [];
  file.lines.forEach((line, i) => {
    const match = start.exec(line);
    if (!match || notFunctions.test(line) || !/\{$|\($/.test(line)) return;
    const closing = `${match[1] ?? ""}}`;
    const length =
      file.lines
        .slice(i)
        .findIndex((later) => later === closing || later === `${closing};` || later === `${closing},`) + 1;
    if (length > 60 && !longFunctions.has(`${file.path}:${nameIn(line)}`))
      found.push(`${file.path}:${i + 1}: ${length}`);
  });
  return found;
}

function nameIn(line: string): string {
  return (
    /(?:function\*? |const )?(\w+)(?: =|<|\()/.exec(
      line.replace(/^\s*(?:export |async |private |static )*/, ""),
    )?.[1] ?? ""
  );
}
