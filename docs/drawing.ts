/** Drawings of boxes and arrows, laid out by Graphviz, as SVG that is readable on light and dark pages. */
import { Graphviz } from "@hpcc-js/wasm-graphviz";

/** Both themes have a background of their own: a page may be dark where the reader's system is light. */
const STYLE = `
<style>
  svg { --paper: #ffffff; --ink: #1f2328; --line: #59636e; --box: #ddf4ff; --edge: #0969da; --group: #f6f8fa; }
  @media (prefers-color-scheme: dark) {
    svg { --paper: #0d1117; --ink: #f0f6fc; --line: #9198a1; --box: #12263f; --edge: #4493f8; --group: #151b23; }
  }
  text { fill: var(--ink); }
  .graph > polygon { fill: var(--paper); stroke: none; }
  .cluster > polygon, .cluster > path { fill: var(--group); stroke: var(--line); }
  .node > polygon, .node > path { fill: var(--box); stroke: var(--edge); }
  .edge > path { stroke: var(--line); }
  .edge > text { paint-order: stroke; stroke: var(--group); stroke-width: 4px; }
  .edge > polygon { fill: var(--line); stroke: var(--line); }
</style>`;

/**
 * @param title what a screen reader says.
 * @param statements in Graphviz's language: https://graphviz.org/doc/info/lang.html
 */
export async function drawing(title: string, statements: readonly string[], options = ""): Promise<string> {
    const graphviz = await Graphviz.load();
    const source = `digraph {
        rankdir=LR; pad=0.2; nodesep=0.25; ranksep=0.7; fontname="Helvetica,Arial,sans-serif"; fontsize=12; ${options}
        node [fontname="Helvetica,Arial,sans-serif" fontsize=12 style="rounded,filled" margin="0.4,0.1"]
        edge [fontname="Helvetica,Arial,sans-serif" fontsize=11]
        ${statements.join("\n        ")}
    }`;
    const svg = graphviz.dot(source);
    return `${svg
        // The size follows from the page; the version of Graphviz is of no interest.
        .replace(/<!--.*?-->\n?/gs, "")
        .replace(/<\?xml.*?\?>\n?|<!DOCTYPE[^>]*>\n?/gs, "")
        .replace(/<svg ([^>]*)>/s, `<svg role="img" aria-label="${title}" $1>${STYLE}`)
        .replace(/<title>.*?<\/title>\n?/gs, "")
        .trim()}\n`;
}
