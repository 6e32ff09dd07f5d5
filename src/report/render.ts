import * as vega from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import { SeprogError } from "../errors.js";

/** One standalone SVG. `id` keeps clip paths of several pictures on one page apart. */
export async function renderSvg(spec: TopLevelSpec, id: string): Promise<string> {
  const warnings: string[] = [];
  const logger = vega.logger(vega.Warn);
  logger.warn = (...messages: readonly unknown[]) => {
    warnings.push(messages.map(String).join(" "));
    return logger;
  };
  const view = new vega.View(vega.parse(compile(spec, { logger }).spec), { renderer: "none", logger });
  try {
    const svg = await view.toSVG();
    if (warnings.length > 0)
      throw new SeprogError("INTERNAL", `expected a valid plot but received: ${warnings.join("; ")}`);
    return uniqueIds(svg, id);
  } finally {
    view.finalize();
  }
}

function uniqueIds(svg: string, id: string): string {
  return svg.replaceAll(/\bid="([^"]+)"/g, `id="${id}-$1"`).replaceAll(/url\(#([^)]+)\)/g, `url(#${id}-$1)`);
}
