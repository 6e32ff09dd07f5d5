import { SingleBar } from "cli-progress";
import { duration } from "../report/units.js";
import type { LoopEvent, ProgressEvent } from "../training/events.js";

/** Draws the progress of long work: a bar with time left on a terminal, else a plain line now and then. */
export interface Progress {
  /** `label` is put in front, as `seprog counterfact K=64`. */
  onEvent(event: LoopEvent, label?: string): void;
  /** A line for people that must not be overwritten by the bar. */
  note(line: string): void;
  /** Ends the current bar, if any. Must be called before anything else is printed. */
  close(): void;
}

export interface ProgressOptions {
  readonly stream?: NodeJS.WriteStream;
  /** Where nobody watches: time between two lines of one piece of work. Default 10 s. */
  readonly lineEveryMs?: number;
}

export function createProgress({
  stream = process.stderr,
  lineEveryMs = 10_000,
}: ProgressOptions = {}): Progress {
  return stream.isTTY ? new BarProgress(stream) : new LineProgress(stream, lineEveryMs);
}

class BarProgress implements Progress {
  readonly #stream: NodeJS.WriteStream;
  #bar: SingleBar | undefined;
  #title = "";

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  onEvent(event: LoopEvent, label = ""): void {
    if (event.type === "progress") {
      this.#draw(event, label);
      return;
    }
    if (event.type === "finish") this.close();
    const line = describe(event);
    if (line !== undefined) this.note(line);
  }

  note(line: string): void {
    // The next event draws the bar again, below the line.
    this.close();
    this.#stream.write(`${line}\n`);
  }

  close(): void {
    this.#bar?.stop();
    this.#bar = undefined;
    this.#title = "";
  }

  #draw(event: ProgressEvent, label: string): void {
    const name = title(label, event.phase);
    const figures = figuresText(event.figures);
    const payload = {
      title: name,
      left: event.etaMs === null ? "…" : duration(event.etaMs),
      figures: figures === "" ? "" : ` · ${figures}`,
    };
    if (this.#bar === undefined || this.#title !== name) {
      this.close();
      this.#title = name;
      this.#bar = new SingleBar({
        stream: this.#stream,
        format: "{title} {bar} {percentage}% · {value}/{total} · {left} left{figures}",
        barsize: 24,
        barCompleteChar: "█",
        barIncompleteChar: "░",
        hideCursor: null,
        linewrap: true,
        forceRedraw: true,
        gracefulExit: false,
        clearOnComplete: true,
        fps: 5,
      });
      this.#bar.start(event.total, event.step, payload);
      return;
    }
    this.#bar.setTotal(event.total);
    this.#bar.update(event.step, payload);
  }
}

/** A line now and then, whatever goes on; the end of a phase is told only where its course was. */
class LineProgress implements Progress {
  readonly #stream: NodeJS.WriteStream;
  readonly #lineEveryMs: number;
  readonly #told = new Set<string>();
  #lastLineAt = Number.NEGATIVE_INFINITY;

  constructor(stream: NodeJS.WriteStream, lineEveryMs: number) {
    this.#stream = stream;
    this.#lineEveryMs = lineEveryMs;
  }

  onEvent(event: LoopEvent, label = ""): void {
    if (event.type !== "progress") {
      const line = describe(event);
      if (line !== undefined) this.note(line);
      return;
    }
    const name = title(label, event.phase);
    const isDue = performance.now() - this.#lastLineAt >= this.#lineEveryMs;
    const isEnd = event.step >= event.total && this.#told.has(name);
    if (!isDue && !isEnd) return;
    if (isEnd) this.#told.delete(name);
    else this.#told.add(name);
    this.#lastLineAt = performance.now();
    const left = event.etaMs === null || isEnd ? "" : `, ${duration(event.etaMs)} left`;
    const figures = figuresText(event.figures);
    this.note(`${name}: ${event.step}/${event.total}${left}${figures === "" ? "" : ` (${figures})`}`);
  }

  note(line: string): void {
    this.#stream.write(`${line}\n`);
  }

  close(): void {
    this.#told.clear();
  }
}

function title(label: string, phase: string): string {
  return label === "" ? phase : `${label}: ${phase}`;
}

function describe(event: Exclude<LoopEvent, ProgressEvent>): string | undefined {
  if (event.type === "validation") {
    const patience =
      event.patienceLeftEpochs === null
        ? ""
        : `, stops after ${event.patienceLeftEpochs} more epochs without a better one`;
    return `  validation at step ${event.step}: ${figuresText(event.figures)}${event.best ? " (best so far)" : patience}`;
  }
  if (event.type === "finish")
    return `  ${event.phase} ${event.reason} at step ${event.step}: ${figuresText(event.figures)}`;
  return undefined;
}

export function figuresText(figures: { readonly [name: string]: number }): string {
  return Object.entries(figures)
    .map(([name, value]) => `${name} ${compact(value)}`)
    .join(", ");
}

function compact(value: number): string {
  if (Number.isInteger(value)) return String(value);
  const magnitude = Math.abs(value);
  if (magnitude !== 0 && magnitude < 1e-3) return value.toExponential(1);
  return value.toFixed(magnitude < 10 ? 3 : 1);
}
