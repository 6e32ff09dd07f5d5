// Reports as a reader opens them: in a browser, offline, on a phone and a desk, light and dark, by keyboard alone.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compareProfiles } from "../../src/report/comparison/compare_profiles.js";
import { comparisonDocument } from "../../src/report/comparison/comparison.js";
import { documentHtml } from "../../src/report/document_html.js";
import { readProfileRun } from "../../src/report/profile/profile_run.js";
import { writeProfileReports } from "../../src/report/profile/write_profile.js";
import { readRun } from "../../src/report/run_data.js";
import { writeReports } from "../../src/report/write.js";
import { Browser, findChromium, type Page } from "../support/browser.js";
import { profileRecord, untrained, writeProfileRun } from "../support/profile_records.js";
import { summaryCell, writeRun } from "../support/run_fixture.js";

const PHONE = 390;
const DESK = 1440;

/** An existing folder for pictures of the reports, for whoever wants to look at them. */
const pictures = process.env.SEPROG_SCREENSHOTS;

let folder = "";
let browser: Browser;
const reports: { name: string; path: string }[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "seprog-browser-"));
  browser = await Browser.start();
  const bench = join(folder, "bench");
  const methods = ["seprog", "ft", "enn", "slag", "mend", "serac", "nearest"];
  const cells = methods.flatMap((method) =>
    [1, 4, 64].map((K) => summaryCell("zsre", K, { method, variant: method })),
  );
  writeRun(bench, cells);
  reports.push({ name: "bench", path: (await writeReports(await readRun(bench), bench)).html });

  const profile = join(folder, "profile");
  const records = [64, 128].flatMap((K) => [
    ...methods
      .filter((method) => method !== "ft" && method !== "nearest")
      .map((method, i) => profileRecord(method, K, { trainMs: 100 + 200 * i, inferMs: 900 - 150 * i })),
    untrained("ft", K, { inferMs: 9000 }),
  ]);
  writeProfileRun(profile, records);
  const run = await readProfileRun(profile);
  reports.push({ name: "profile", path: (await writeProfileReports(run, profile)).html });

  const comparison = join(folder, "comparison.html");
  const later = {
    ...run,
    name: "later",
    records: run.records.map((record) => profileRecord(record.method, record.K)),
  };
  writeFileSync(comparison, await documentHtml(comparisonDocument(compareProfiles(run, later))));
  reports.push({ name: "comparison", path: comparison });
});
afterAll(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

const textsOf = (page: Page, selector: string): Promise<string[]> =>
  page.evaluate(`[...document.querySelectorAll(${JSON.stringify(selector)})].map((one) => one.textContent)`);

/** Tabs until the element in focus fulfils the condition; `null` where `most` steps do not reach one. */
async function tabTo(page: Page, condition: string, most = 400): Promise<number | null> {
  for (let step = 1; step <= most; step++) {
    await page.press("Tab");
    if (await page.evaluate<boolean>(`((element) => ${condition})(document.activeElement)`)) return step;
  }
  return null;
}

describe.each(["bench", "profile", "comparison"])("the %s report", (name) => {
  const open = (width: number, scheme: "light" | "dark" = "light"): Promise<Page> =>
    browser.open(reports.find((one) => one.name === name)?.path ?? "", { width, scheme });

  it("says nothing on the console and asks for nothing but itself", async () => {
    const page = await open(DESK);
    expect(page.said).toEqual([]);
    expect(page.requested).toHaveLength(1);
    expect(page.requested[0]).toMatch(/^file:/);
    await page.close();
  });

  it("has its plots, named for those who do not see them, and headings in order", async () => {
    const page = await open(DESK);
    const plots = await page.evaluate<{ width: number; height: number; label: string }[]>(
      `[...document.querySelectorAll("figure > svg")].map((svg) => ({ ...svg.getBoundingClientRect().toJSON(), label: svg.getAttribute("aria-label") }))`,
    );
    if (name === "comparison") expect(plots).toEqual([]);
    else expect(plots.length).toBeGreaterThan(3);
    for (const { label } of plots) expect(label).not.toBe("");
    const shown = plots.filter(({ width }) => width > 0);
    for (const { width, height } of shown) expect(Math.min(width, height)).toBeGreaterThan(50);
    const levels = await page.evaluate<number[]>(
      `[...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].map((heading) => Number(heading.tagName[1]))`,
    );
    expect(levels.filter((level) => level === 1)).toHaveLength(1);
    expect(levels.filter((level, i) => level > (levels[i - 1] ?? 0) + 1)).toEqual([]);
    await page.close();
  });

  it("fits a phone: tables scroll inside themselves, the page does not", async () => {
    const page = await open(PHONE);
    await page.evaluate(`for (const details of document.querySelectorAll("details")) details.open = true`);
    expect(await page.evaluate<number>("document.documentElement.scrollWidth")).toBeLessThanOrEqual(PHONE);
    const wide = await page.evaluate<number>(
      `[...document.querySelectorAll(".scroll")].filter((region) => region.scrollWidth > region.clientWidth).length`,
    );
    expect(wide).toBeGreaterThan(0);
    await page.close();
  });

  it.each([PHONE, DESK])(
    "takes the colours that the reader's system asks for, %d pixels wide",
    async (width) => {
      const drawn = await Promise.all(
        (["light", "dark"] as const).map(async (scheme) => {
          const page = await open(width, scheme);
          const [paper = 0, ink = 0] = (
            await page.evaluate<string[]>(
              `((style) => [style.backgroundColor, style.color])(getComputedStyle(document.body))`,
            )
          ).map(brightness);
          const picture = await page.screenshot(width, 2400);
          await page.close();
          if (pictures) writeFileSync(join(pictures, `${name}-${width}-${scheme}.png`), picture);
          return { paper, ink, picture };
        }),
      );
      const [light, dark] = drawn;
      if (!light || !dark) throw new Error("no pictures");
      expect(light.paper).toBeGreaterThan(light.ink + 100);
      expect(dark.ink).toBeGreaterThan(dark.paper + 100);
      expect(light.picture.equals(dark.picture)).toBe(false);
    },
  );

  it("is read by keyboard: skip link, tables in reach, scrolled and sorted", async () => {
    const page = await open(PHONE);
    await page.press("Tab");
    expect(await page.evaluate("document.activeElement.textContent")).toBe("Skip to the content");
    await page.press("Enter");
    expect(await page.evaluate("document.activeElement.id")).toBe("content");
    const region = `element.matches(".scroll") && element.scrollWidth > element.clientWidth`;
    expect(await tabTo(page, region)).not.toBeNull();
    expect(await page.evaluate<string>(`document.activeElement.getAttribute("aria-label")`)).not.toBe("");
    await page.press("ArrowRight");
    await page.evaluate("new Promise((resolve) => setTimeout(resolve, 300))");
    expect(await page.evaluate<number>("document.activeElement.scrollLeft")).toBeGreaterThan(0);
    await page.close();
  });
});

/** Mean of red, green and blue of `rgb(…)`. */
function brightness(color: string): number {
  const [red = 0, green = 0, blue = 0] = (color.match(/\d+/g) ?? []).map(Number);
  return (red + green + blue) / 3;
}

describe("a table", () => {
  it("is sorted by its headers' buttons: up, down, as it was", async () => {
    const page = await browser.open(reports.find((one) => one.name === "profile")?.path ?? "", {
      width: DESK,
    });
    const table = `document.querySelector("[aria-label^='Costs at K = 64 (Table 3)']")`;
    await page.evaluate(`${table}.focus()`);
    // Past «method» to «training time».
    await page.press("Tab");
    await page.press("Tab");
    expect(await page.evaluate("document.activeElement.textContent")).toBe("training time");
    const state = async (): Promise<[string, string[]]> => [
      await page.evaluate<string>(`document.activeElement.parentElement.getAttribute("aria-sort")`),
      await page.evaluate<string[]>(
        `[...${table}.querySelectorAll("tbody th")].map((head) => head.textContent)`,
      ),
    ];
    const asWritten = ["seprog", "enn", "ft", "mend", "serac", "slag"];
    expect(await state()).toEqual(["none", asWritten]);
    await page.press("Enter");
    // 100, 300 (enn), 500 (slag), 700 (mend), 900 ms (serac); FT has none and stands last either way.
    expect(await state()).toEqual(["ascending", ["seprog", "enn", "slag", "mend", "serac", "ft"]]);
    await page.press("Enter");
    expect(await state()).toEqual(["descending", ["serac", "mend", "slag", "enn", "seprog", "ft"]]);
    await page.press("Enter");
    expect(await state()).toEqual(["none", asWritten]);
    await page.close();
  });

  it("keeps the row of the whole at its foot", async () => {
    const page = await browser.open(reports.find((one) => one.name === "profile")?.path ?? "", {
      width: DESK,
    });
    await page.evaluate(`document.querySelector("details").open = true`);
    await page.evaluate(`document.querySelector("details th:nth-child(2) button").click()`);
    expect((await textsOf(page, "details tfoot th"))[0]).toBe("whole");
    await page.close();
  });
});

describe("the browser of the tests", () => {
  it("is named, or looked for, or asked for", () => {
    expect(() => findChromium({ SEPROG_CHROMIUM: join(folder, "none") })).toThrow(
      /apt-get install -y chromium/,
    );
    expect(() => findChromium({ PATH: folder })).toThrow(/on the PATH/);
    expect(findChromium({ SEPROG_CHROMIUM: process.execPath })).toBe(process.execPath);
  });
});
