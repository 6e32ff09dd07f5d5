// What a profile draws.
import { describe, expect, it } from "vitest";
import { chartsOf } from "../../src/report/document.js";
import { figureName, figureSvg } from "../../src/report/figure_svg.js";
import { paretoFront } from "../../src/report/profile/front_charts.js";
import { profileHeadline } from "../../src/report/profile/headline.js";
import { profileDocument } from "../../src/report/profile/profile_document.js";
import { bandsOf, highestPerColumn } from "../../src/report/profile/timeline_charts.js";
import { operation, phase } from "../support/profile_records.js";
import { RECORDS, runOf } from "../support/profile_settings.js";

const MiB = 2 ** 20;

const emptyTimeline = { spanPhase: [], spanBeginMs: [], spanEndMs: [], sampleMs: [], sampleBytes: [] };

describe("plots", () => {
  it("draw as a front what nothing else beats", () => {
    const offer = (method: string, cost: number, success: number) => ({ method, cost, success });
    const front = paretoFront([
      offer("dear", 9, 0.9),
      offer("cheap", 1, 0.2),
      offer("beaten", 5, 0.4),
      offer("good", 3, 0.5),
      offer("same", 3, 0.4),
    ]);
    expect(front.map(({ method }) => method)).toEqual(["cheap", "good", "dear"]);
  });

  it("keep a peak between two points of a line and join bands of one kind", () => {
    const spikes = { ...emptyTimeline, sampleMs: [0, 0.001, 0.002, 1000], sampleBytes: [1, 99, 2, 3] };
    expect(highestPerColumn(spikes, 1000)).toEqual([
      { ms: 0.001, bytes: 99 },
      { ms: 1000, bytes: 3 },
    ]);
    const twice = operation(
      [phase("a", "forward", 1), phase("b", "forward", 1), phase("c", "update", 1)],
      MiB,
    );
    const timeline = {
      ...emptyTimeline,
      spanPhase: [0, 1, 2],
      spanBeginMs: [0, 10, 20],
      spanEndMs: [10, 20, 30],
    };
    expect(bandsOf(twice, timeline, 30)).toEqual([
      { part: "forward", beginMs: 0, endMs: 20 },
      { part: "update", beginMs: 20, endMs: 30 },
    ]);
  });

  it("are there for time, memory, K, success and every cell, once each", () => {
    const both = [...RECORDS, ...RECORDS.map((record) => ({ ...record, K: 128 }))];
    const titles = chartsOf(profileDocument(runOf(both))).map(({ title }) => title);
    for (const title of [
      "Costs as multiples of seprog's, K = 128",
      "Time, training step, K = 64",
      "Time, inference in scope, K = 128, shares",
      "Memory at the peak, training step, K = 64",
      "Training time against K",
      "Edit success against inference memory, K = 64",
      "Cost of an edit against the number of edits, K = 64",
      "Memory over time: seprog, training step, K = 64",
    ])
      expect(
        titles.filter((one) => one === title),
        title,
      ).toHaveLength(1);
  });

  it("stand alone with title and legend, in one ink", async () => {
    const chart = profileHeadline(runOf(RECORDS), "A <title>");
    if (chart === null) throw new Error("no picture");
    const svg = await figureSvg(chart, "#123456");
    expect(svg).toMatch(/^<svg xmlns="[^"]+" width="\d+" height="\d+"/);
    expect(svg).toContain("A &lt;title&gt;");
    for (const part of ["training time", "inference memory", "mend", "ft"])
      expect(svg).toContain(`>${part}<`);
    expect(svg).toContain("multiple of seprog");
    expect(svg).not.toContain("currentColor");
    expect(figureName("Memory over time: seprog, K = 64")).toBe("memory-over-time-seprog-k-64");
    expect(profileHeadline(runOf([]))).toBeNull();
    expect(profileHeadline(runOf(RECORDS.slice(1)))?.title).toMatch(/^Time, training step, K = 64 · zsre/);
  });
});
