import type { OperationSamples, ProfileRecord, Timeline } from "../../profile/record.js";
import { type Chart, frame, INK } from "../charts.js";
import { OPERATIONS, type OperationName, operationOf } from "./operations.js";
import { PHASE_PARTS, partOf } from "./parts.js";
import { partColor, partLabel } from "./stacked_bars.js";

const SHOWN: readonly OperationName[] = ["trainStep", "inScope"];

/** So many pieces of the time axis: more cannot be told apart at a plot's width. */
const COLUMNS = 330;

/** Bytes held over the time of one repetition, above bands of what ran; none where the run recorded no timeline. */
export function timelineCharts(record: ProfileRecord): Chart[] {
  return SHOWN.flatMap((name) => {
    const operation = operationOf(record, name);
    const timeline = operation?.timeline;
    if (!operation || !timeline || timeline.sampleMs.length < 2) return [];
    return [timelineChart(record, OPERATIONS[name], operation, timeline)];
  });
}

export interface Band {
  readonly part: string;
  readonly beginMs: number;
  readonly endMs: number;
}

/** Spans by what they do: those that follow each other at once and do the same are one, those too short to see none. */
export function bandsOf(operation: OperationSamples, timeline: Timeline, endMs: number): Band[] {
  const gapMs = endMs / COLUMNS;
  const bands: Band[] = [];
  const order = [...timeline.spanPhase.keys()].sort(
    (a, b) => (timeline.spanBeginMs[a] ?? 0) - (timeline.spanBeginMs[b] ?? 0),
  );
  for (const i of order) {
    const phase = operation.phases[timeline.spanPhase[i] ?? -1];
    const part = phase === undefined ? PHASE_PARTS.rest : partOf(phase);
    const [beginMs = 0, end = 0] = [timeline.spanBeginMs[i], timeline.spanEndMs[i]];
    const last = bands.at(-1);
    if (last?.part === part && beginMs - last.endMs < gapMs)
      bands[bands.length - 1] = { ...last, endMs: Math.max(last.endMs, end) };
    else bands.push({ part, beginMs, endMs: end });
  }
  return bands.filter(({ beginMs, endMs: end }) => end - beginMs >= gapMs / 4);
}

/** The highest sample of each column: a peak must not get lost between two points. */
export function highestPerColumn(
  { sampleMs, sampleBytes }: Timeline,
  endMs: number,
): { ms: number; bytes: number }[] {
  const highest: { ms: number; bytes: number }[] = [];
  let column = -1;
  sampleMs.forEach((ms, i) => {
    const at = endMs > 0 ? Math.floor((ms / endMs) * COLUMNS) : 0;
    const bytes = sampleBytes[i] ?? 0;
    const last = highest.at(-1);
    if (at !== column || last === undefined) highest.push({ ms, bytes });
    else if (bytes > last.bytes) highest[highest.length - 1] = { ms, bytes };
    column = at;
  });
  return highest;
}

function timelineChart(
  record: ProfileRecord,
  what: string,
  operation: OperationSamples,
  timeline: Timeline,
): Chart {
  const endMs = [...timeline.spanEndMs, ...timeline.sampleMs].reduce((last, ms) => Math.max(last, ms), 0);
  const bands = bandsOf(operation, timeline, endMs);
  const samples = highestPerColumn(timeline, endMs).map(({ ms, bytes }) => ({ ms, MiB: bytes / 2 ** 20 }));
  const top = Math.max(...samples.map(({ MiB }) => MiB), 1) * 1.05;
  const parts = PHASE_PARTS.names.filter((name) => bands.some(({ part }) => part === name));
  const x = (field: string) => ({
    field,
    type: "quantitative" as const,
    title: "milliseconds",
    scale: { domain: [0, endMs], nice: false },
    axis: { tickCount: 5, grid: false },
  });
  return {
    title: `Memory over time: ${record.method}, ${what}, K = ${record.K}`,
    note: "Bytes held by tensors in one repetition; colours say what ran.",
    legend: parts.map((part) => ({
      label: partLabel(PHASE_PARTS, part),
      color: partColor(PHASE_PARTS, part),
    })),
    spec: {
      ...frame(),
      width: 330,
      height: 180,
      layer: [
        {
          data: { values: bands.map((band) => ({ ...band, low: 0, high: top })) },
          mark: { type: "rect" as const, opacity: 0.3 },
          encoding: {
            x: x("beginMs"),
            x2: { field: "endMs" },
            y: { field: "low", type: "quantitative" as const },
            y2: { field: "high" },
            color: {
              field: "part",
              type: "nominal" as const,
              scale: { domain: parts, range: parts.map((part) => partColor(PHASE_PARTS, part)) },
              legend: null,
            },
          },
        },
        {
          data: { values: samples },
          mark: { type: "line" as const, interpolate: "step-after" as const, color: INK, strokeWidth: 1.5 },
          encoding: {
            x: x("ms"),
            y: {
              field: "MiB",
              type: "quantitative" as const,
              title: "MiB",
              scale: { domain: [0, top], nice: false },
              axis: { tickCount: 5 },
            },
          },
        },
      ],
    },
  };
}
