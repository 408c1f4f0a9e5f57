// dist/cli.cjs: runs the program, which scripts/prepare.mjs has put into one script, with V8's compiled form of it
// beside it. That form saves reading and compiling most of a megabyte at every start. V8 refuses it where it was made
// by another version or with other flags, and then compiles as usual. CommonJS, because Node's loader of modules
// costs a tenth of the time to the first verdict.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Script } from "node:vm";

/** The program's name in dist/program: a digest of its text, so that a compiled form never meets another text. */
declare const PROGRAM: string;

/** What the script is: the program as a function of what a module has. */
type Program = (require: NodeJS.Require, moduleUrl: string) => void;

const path = (extension: string): string => join(__dirname, "program", `${PROGRAM}.${extension}`);

const script = new Script(readFileSync(path("cjs"), "latin1"), {
  filename: path("cjs"),
  ...(existsSync(path("cache")) && { cachedData: readFileSync(path("cache")) }),
});
(script.runInThisContext() as Program)(require, pathToFileURL(__filename).href);
