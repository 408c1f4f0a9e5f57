// Generates grammar/railroad.html: a railroad diagram for each rule of the parser, with the rule's text above it.

import { grammarRules } from "../grammar/ebnf.js";
import { railroad } from "../grammar/railroad.js";
import { grammarShape } from "../../src/syntax/index.js";

const style = `
  body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem; color: #222; background: #fff; }
  h2 { font-size: 1.1rem; margin: 2rem 0 0; }
  pre { color: #666; white-space: pre-wrap; }
  svg { max-width: 100%; height: auto; }
  svg path { fill: none; stroke: #555; stroke-width: 1.5; }
  svg rect { stroke: #555; stroke-width: 1.2; fill: #eef3fb; }
  svg rect.sign { fill: #fdf3e1; }
  svg rect.word { fill: #eaf6ea; }
  svg text { font: 13px monospace; text-anchor: middle; fill: #222; }
`;

const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

export function outputs(): readonly { readonly path: string; readonly text: string }[] {
  const shape = grammarShape();
  const rules = grammarRules(shape);
  const sections = shape.map((rule) => {
    const name = rule.name ?? "";
    const text = escaped(`${name} = ${rules.get(name) ?? ""} ;`);
    return `<h2 id="${name}">${name}</h2>\n<pre>${text}</pre>\n${railroad(rule)}\n`;
  });
  const text = `<!doctype html>
<!-- Generated from the parser by npm run generate; do not edit. -->
<html lang="en">
<meta charset="utf-8">
<title>The grammar of Trapline</title>
<style>${style}</style>
<h1>The grammar of Trapline</h1>
<p>One track for each rule of the parser. Square boxes are rules, round ones are tokens: signs and words as they stand
in a file, and in capitals the kinds of words that <a href="trapline.ebnf">trapline.ebnf</a> explains.</p>
${sections.join("\n")}</html>
`;
  return [{ path: "grammar/railroad.html", text }];
}
